//! Attention of a single token, shared among threads although it has few queries: scores by spans of
//! slots, then weighted values by runs of columns.
//!
//! Every sum runs in the order of the way for several tokens, so that a token's numbers do not depend
//! on what it is computed together with.

use super::{AttentionSpec, KvCache, VALUES, add_weighted, products, put_scores};
use crate::pool::{Disjoint, Pool};
use crate::softmax::softmax;
use std::cell::RefCell;
use std::ops::Range;
use wide::f32x4;

/// Slots of a span, a multiple of 4.
const SPAN: usize = 128;

/// Columns of a run: those of a cache line.
const COLUMNS: usize = 16;

/// Query heads that share loaded keys and values.
const HEADS: usize = 4;

/// Multiply-adds that are worth a part of their own.
const LEAST_WORK: usize = 1 << 15;

/// Scores whose softmax is worth a part of its own.
const LEAST_SCORES: usize = 1 << 11;

thread_local! {
    /// Of each head, a row of the slots seen.
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Attention of the one token in `queries`, `[heads, dimensions]`, to `slots`.
pub(super) fn attend(
    pool: &Pool,
    spec: AttentionSpec,
    cache: &KvCache,
    queries: &[f32],
    slots: Range<usize>,
    out: &mut [f32],
) {
    SCORES.with_borrow_mut(|scores| {
        // Keys are kept by 4 slots; the first may not be seen.
        let first = slots.start / 4 * 4;
        let stride = (slots.end - first).next_multiple_of(4);
        scores.resize(spec.heads * stride, 0.0);
        let token = Token { spec, cache, queries, first, stride, group: spec.heads / cache.heads };
        token.score(pool, scores);
        let seen = slots.start - first..slots.end - first;
        let heads = spec.heads.div_ceil(pool.parts(spec.heads, LEAST_SCORES / stride));
        pool.each_chunk(scores, heads * stride, |_, rows| {
            for row in rows.chunks_exact_mut(stride) {
                row[..seen.start].fill(0.0);
                softmax(&mut row[seen.clone()]);
            }
        });
        token.weigh(pool, scores, seen.end, out);
    });
}

/// What all parts of the work share.
struct Token<'a> {
    spec: AttentionSpec,
    cache: &'a KvCache,
    queries: &'a [f32],
    /// First slot that is read.
    first: usize,
    /// Slots that are read, and so the scores of a head.
    stride: usize,
    /// Query heads of one key-value head.
    group: usize,
}

impl Token<'_> {
    /// Writes `[heads, stride]` scores.
    fn score(&self, pool: &Pool, scores: &mut [f32]) {
        let spans = self.stride.div_ceil(SPAN);
        let scores = Disjoint::new(scores);
        self.run(pool, spans, SPAN * self.cache.dimensions, |heads, span| {
            let part = span * SPAN..self.stride.min((span + 1) * SPAN);
            let kernel = match heads.len() {
                1 => Self::span_scores::<1>,
                2 => Self::span_scores::<2>,
                3 => Self::span_scores::<3>,
                _ => Self::span_scores::<HEADS>,
            };
            kernel(self, heads.start, part, &scores);
        });
    }

    fn span_scores<const COUNT: usize>(
        &self,
        head: usize,
        part: Range<usize>,
        scores: &Disjoint<'_, f32>,
    ) {
        let Self { cache, queries, stride, .. } = *self;
        let dimensions = cache.dimensions;
        let query: [&[f32]; COUNT] =
            std::array::from_fn(|index| &queries[(head + index) * dimensions..][..dimensions]);
        let start = head / self.group * cache.capacity + self.first + part.start;
        let keys = &cache.keys[start * dimensions..][..part.len() * dimensions];
        let scale = f32x4::splat(self.spec.scale);
        for (quad, keys) in keys.chunks_exact(4 * dimensions).enumerate() {
            for (index, [sum]) in products(&query, [keys]).into_iter().enumerate() {
                let at = (head + index) * stride + part.start + 4 * quad;
                // SAFETY: each head's span is of one part of the work.
                put_scores(unsafe { scores.slice(at, 4) }, sum * scale);
            }
        }
    }

    /// Writes `[heads, dimensions]` sums of the first `count` slots' values.
    fn weigh(&self, pool: &Pool, weights: &[f32], count: usize, out: &mut [f32]) {
        let out = Disjoint::new(out);
        self.run(pool, self.cache.width.div_ceil(COLUMNS), COLUMNS * count, |heads, run| {
            let columns = run * COLUMNS..self.cache.width.min((run + 1) * COLUMNS);
            let kernel = match heads.len() {
                1 => Self::run_sums::<1>,
                2 => Self::run_sums::<2>,
                3 => Self::run_sums::<3>,
                _ => Self::run_sums::<HEADS>,
            };
            let rows = &weights[heads.start * self.stride..heads.end * self.stride];
            kernel(self, heads.start, (rows, count), columns, &out);
        });
    }

    fn run_sums<const COUNT: usize>(
        &self,
        head: usize,
        (weights, count): (&[f32], usize),
        columns: Range<usize>,
        out: &Disjoint<'_, f32>,
    ) {
        let Self { cache, stride, .. } = *self;
        let weights: [&[f32]; COUNT] =
            std::array::from_fn(|index| &weights[index * stride..][..count]);
        let start = head / self.group * cache.capacity + self.first;
        let values = &cache.values[start * cache.width..][..count * cache.width];
        let values = values.as_chunks::<VALUES>().0;
        for block in columns.step_by(VALUES) {
            let mut sums = [[f32x4::ZERO; 2]; COUNT];
            let column = values.iter().skip(block / VALUES).step_by(cache.width / VALUES);
            add_weighted(&mut sums, column, weights);
            let width = VALUES.min(cache.dimensions - block);
            for (index, sum) in sums.into_iter().enumerate() {
                let lanes = [sum[0].to_array(), sum[1].to_array()];
                // SAFETY: each head's run of columns is of one part of the work.
                let out = unsafe { out.slice((head + index) * cache.dimensions + block, width) };
                out.copy_from_slice(&lanes.as_flattened()[..width]);
            }
        }
    }

    /// Calls `work` with at most [`HEADS`] heads that share a key-value head and each of `0..units`.
    fn run(
        &self,
        pool: &Pool,
        units: usize,
        macs: usize,
        work: impl Fn(Range<usize>, usize) + Sync,
    ) {
        let shares = self.group.div_ceil(HEADS);
        let all = self.cache.heads * shares * units;
        let parts = pool.parts(all, LEAST_WORK / (self.group.min(HEADS) * macs).max(1));
        pool.run(parts, |part| {
            for unit in part * all / parts..(part + 1) * all / parts {
                let (share, unit) = (unit / units, unit % units);
                let (kv_head, share) = (share / shares, share % shares);
                let start = kv_head * self.group + share * HEADS;
                work(start..(start + HEADS).min((kv_head + 1) * self.group), unit);
            }
        });
    }
}
