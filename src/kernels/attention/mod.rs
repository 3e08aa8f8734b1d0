//! Attention over a cache of keys and values, with grouped heads, segments and a sliding window.
//!
//! A pass may carry tokens of several independent sequences, one segment each. A cache slot is a
//! place, a position is a count within a sequence: segments may share the slots of one context.
//!
//! Keys are interleaved by 4 slots, `[head, slot / 4, dimension, 4]`, so that lanes are slots and
//! no sum runs across lanes; values are `[head, slot, dimension]`. Four
//! queries share each key and value that is loaded.

mod one_token;

use crate::arch::multiply_add;
use crate::pool::{Disjoint, Pool};
use crate::softmax::softmax;
use crate::try_zeros;
use std::cell::RefCell;
use std::collections::TryReserveError;
use std::ops::Range;
use wide::f32x4;

/// Queries that share loaded keys and values.
const QUERIES: usize = 4;

/// The score of what a query does not see: after any real score, `e^x` of it is nothing.
const UNSEEN: f32 = -3e38;

/// Keys and values of one layer for a fixed number of slots.
pub struct KvCache {
    heads: usize,
    dimensions: usize,
    /// A multiple of 4.
    capacity: usize,
    /// Of a row of values: the dimensions, and zeros up to a multiple of 8.
    width: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache of `heads` key-value heads of `dimensions` for `capacity` slots.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new(heads: usize, dimensions: usize, capacity: usize) -> Result<Self, TryReserveError> {
        let capacity = capacity.next_multiple_of(4);
        let width = dimensions.next_multiple_of(VALUES);
        let slots = heads.saturating_mul(capacity);
        let keys = try_zeros(slots.saturating_mul(dimensions))?;
        let values = try_zeros(slots.saturating_mul(width))?;
        Ok(Self { heads, dimensions, capacity, width, keys, values })
    }

    /// Key-value heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.values.len())
    }

    /// Stores `keys` and `values`, `[tokens, heads, dimensions]`, from `slot` on.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&mut self, keys: &[f32], values: &[f32], slot: usize) {
        let (dimensions, capacity) = (self.dimensions, self.capacity);
        let width = self.heads * dimensions;
        for (token, (keys, values)) in
            keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate()
        {
            let slot = slot + token;
            assert!(slot < capacity, "slot {slot} of {capacity}");
            for head in 0..self.heads {
                let from = head * dimensions..(head + 1) * dimensions;
                let row = (head * capacity + slot) * self.width;
                self.values[row..row + dimensions].copy_from_slice(&values[from.clone()]);
                let group = (head * capacity + slot / 4 * 4) * dimensions;
                let lanes = self.keys[group..group + 4 * dimensions].as_chunks_mut::<4>().0;
                for (lane, key) in lanes.iter_mut().zip(&keys[from]) {
                    lane[slot % 4] = *key;
                }
            }
        }
    }
}

/// Consecutive tokens of one sequence among the tokens of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Tokens of it in the pass.
    pub tokens: usize,
    /// Cache slots of what comes before them; how many they are is the first token's position.
    pub context: Range<usize>,
}

/// What a layer attends to and how scores are scaled.
#[derive(Clone, Copy, Debug)]
pub struct AttentionSpec {
    /// Query heads; a multiple of the cache's heads.
    pub heads: usize,
    /// Factor on query-key products.
    pub scale: f32,
    /// Positions a query looks back, itself included; none for all.
    pub window: Option<usize>,
    /// A query sees nothing after itself; where not, it sees its whole segment.
    pub causal: bool,
}

/// Attention of `queries`, `[tokens, heads, dimensions]`, whose keys and values the cache holds
/// from `slot` on; `segments` divide the tokens. A query sees the slots of its segment's context
/// and those of its own segment, as far as `spec` lets it. `out` has the shape of `queries`.
pub fn attention(
    pool: &Pool,
    spec: AttentionSpec,
    cache: &KvCache,
    queries: &[f32],
    slot: usize,
    segments: &[Segment],
    out: &mut [f32],
) {
    let group = spec.heads / cache.heads;
    if let [segment @ Segment { tokens: 1, .. }] = segments {
        let only = PlacedSegment { segment, token: 0, slot, first_block: 0 };
        if let [Range { start: 0, end: 0 }, seen] = only.seen(spec, 0) {
            return one_token::attend(pool, spec, cache, queries, seen, out);
        }
    }
    // Blocks of queries are numbered through all segments and heads, so that one job serves all.
    let mut token = 0;
    let mut blocks = 0;
    let mut slots = 0;
    let mut placed: Vec<PlacedSegment<'_>> = Vec::with_capacity(segments.len());
    for segment in segments {
        placed.push(PlacedSegment { segment, token, slot: slot + token, first_block: blocks });
        token += segment.tokens;
        blocks += cache.heads * (segment.tokens * group).div_ceil(QUERIES);
        slots = slots.max(segment.context.len() + segment.tokens);
    }
    let out = Disjoint::new(out);
    let pass = Pass { spec, cache, queries, out };
    let parts = pool.parts(blocks, LEAST_WORK / (QUERIES * cache.dimensions * slots.max(1)));
    pool.run(parts, |part| {
        SCORES.with_borrow_mut(|scores| {
            let range = part * blocks / parts..(part + 1) * blocks / parts;
            let mut at = placed.partition_point(|s| s.first_block <= range.start);
            for block in range {
                while placed.get(at).is_some_and(|next| next.first_block <= block) {
                    at += 1;
                }
                pass.block(placed[at - 1], block - placed[at - 1].first_block, scores);
            }
        });
    });
}

/// Multiply-adds that are worth a part of their own.
const LEAST_WORK: usize = 1 << 15;

thread_local! {
    /// Four rows of the slots seen.
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// A segment, its first token, that token's slot, and the first of its blocks of queries.
#[derive(Clone, Copy)]
struct PlacedSegment<'a> {
    segment: &'a Segment,
    token: usize,
    slot: usize,
    first_block: usize,
}

impl PlacedSegment<'_> {
    /// The slots that its token `index` sees: of the context, and of the segment itself.
    fn seen(self, spec: AttentionSpec, index: usize) -> [Range<usize>; 2] {
        let Segment { tokens, context } = self.segment;
        let length = if spec.causal { index + 1 } else { *tokens };
        // Positions: the context's come first, however far away its slots are.
        let position = context.len() + index;
        let first = spec.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let own = self.slot + first.saturating_sub(context.len())..self.slot + length;
        let context = (context.start + first).min(context.end)..context.end;
        match context.end == self.slot && !context.is_empty() {
            true => [0..0, context.start..own.end],
            false => [context, own],
        }
    }
}

/// What all blocks of a pass share.
struct Pass<'a> {
    spec: AttentionSpec,
    cache: &'a KvCache,
    queries: &'a [f32],
    out: Disjoint<'a, f32>,
}

impl Pass<'_> {
    /// Four queries that read the same head: of each token its `group` heads, token by token.
    fn block(&self, segment: PlacedSegment<'_>, block: usize, scores: &mut Vec<f32>) {
        let Self { spec, cache, .. } = self;
        let group = spec.heads / cache.heads;
        let total = segment.segment.tokens * group;
        let blocks = total.div_ceil(QUERIES);
        let (kv_head, first) = (block / blocks, block % blocks * QUERIES);
        let count = QUERIES.min(total - first);
        let rows: [Row; QUERIES] = std::array::from_fn(|index| {
            // A short last block repeats its last query; the copies are not stored.
            let index = first + index.min(count - 1);
            let (token, head) = (index / group, kv_head * group + index % group);
            let seen = segment.seen(*spec, token);
            Row { at: ((segment.token + token) * spec.heads + head) * cache.dimensions, seen }
        });
        self.attend(kv_head, &rows, count, scores);
    }

    fn attend(&self, kv_head: usize, rows: &[Row; QUERIES], count: usize, scores: &mut Vec<f32>) {
        let Self { spec, cache, queries, out } = self;
        let dimensions = cache.dimensions;
        let (runs, stride) = runs(rows);
        let scale = f32x4::splat(spec.scale);
        if scores.len() < QUERIES * stride {
            scores.resize(QUERIES * stride, 0.0);
        }
        let scores = &mut scores[..QUERIES * stride];
        let query: [&[f32]; QUERIES] =
            std::array::from_fn(|index| &queries[rows[index].at..][..dimensions]);
        let head = kv_head * cache.capacity * dimensions;
        for run in &runs {
            let padded = run.slots.len().next_multiple_of(4);
            let keys = &cache.keys[head + run.slots.start * dimensions..][..padded * dimensions];
            let scores = &mut scores[run.score..];
            let mut pairs = keys.chunks_exact(8 * dimensions);
            let mut at = 0;
            for pair in &mut pairs {
                let (first, second) = pair.split_at(4 * dimensions);
                let sums = products(&query, [first, second]);
                for (index, [first, second]) in sums.into_iter().enumerate() {
                    put_scores(&mut scores[index * stride + at..], first * scale);
                    put_scores(&mut scores[index * stride + at + 4..], second * scale);
                }
                at += 8;
            }
            if !pairs.remainder().is_empty() {
                for (index, [sum]) in products(&query, [pairs.remainder()]).into_iter().enumerate()
                {
                    put_scores(&mut scores[index * stride + at..], sum * scale);
                }
            }
        }
        for (row, scores) in rows.iter().zip(scores.chunks_exact_mut(stride)) {
            weigh(row, &runs, scores);
        }
        for block in 0..cache.width / VALUES {
            let mut sums = [[f32x4::ZERO; 2]; QUERIES];
            for run in &runs {
                let values =
                    &cache.values[(kv_head * cache.capacity + run.slots.start) * cache.width..];
                let values = values[..run.slots.len() * cache.width].as_chunks::<VALUES>().0;
                let column = values.iter().skip(block).step_by(cache.width / VALUES);
                let weights: [&[f32]; QUERIES] = std::array::from_fn(|index| {
                    &scores[index * stride + run.score..][..run.slots.len()]
                });
                add_weighted(&mut sums, column, weights);
            }
            let start = block * VALUES;
            let width = VALUES.min(dimensions - start);
            for (sum, row) in sums.iter().zip(rows).take(count) {
                let lanes = [sum[0].to_array(), sum[1].to_array()];
                // SAFETY: each query is of one block, and each block of one part.
                let out = unsafe { out.slice(row.at + start, width) };
                out.copy_from_slice(&lanes.as_flattened()[..width]);
            }
        }
    }
}

/// Values that are summed at a time, and of whose number a row of the cache holds a multiple.
const VALUES: usize = 8;

/// Adds one column of values, `[slot, 8]`, each slot's times its weight for each query.
#[inline(always)]
fn add_weighted<'a, const COUNT: usize>(
    sums: &mut [[f32x4; 2]; COUNT],
    column: impl Iterator<Item = &'a [f32; VALUES]>,
    weights: [&[f32]; COUNT],
) {
    let length = weights[0].len();
    let weights = weights.map(|weights| &weights[..length]);
    for (slot, value) in column.take(length).enumerate() {
        let [e, f, g, h, i, j, k, l] = *value;
        let (first, second) = (f32x4::new([e, f, g, h]), f32x4::new([i, j, k, l]));
        for (sum, weights) in sums.iter_mut().zip(weights) {
            let weight = f32x4::splat(weights[slot]);
            sum[0] = multiply_add(first, weight, sum[0]);
            sum[1] = multiply_add(second, weight, sum[1]);
        }
    }
}

/// Products of the queries with the keys of 4 slots each, `[dimension, 4]`.
#[inline(always)]
fn products<const COUNT: usize, const GROUPS: usize>(
    queries: &[&[f32]; COUNT],
    keys: [&[f32]; GROUPS],
) -> [[f32x4; GROUPS]; COUNT] {
    let mut sums = [[f32x4::ZERO; GROUPS]; COUNT];
    let length = queries[0].len();
    let queries = queries.map(|query| &query[..length]);
    let keys = keys.map(|keys| &keys.as_chunks::<4>().0[..length]);
    for dimension in 0..length {
        let keys = keys.map(|keys| f32x4::new(keys[dimension]));
        for (sums, query) in sums.iter_mut().zip(queries) {
            let query = f32x4::splat(query[dimension]);
            for (sum, keys) in sums.iter_mut().zip(keys) {
                *sum = multiply_add(keys, query, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn put_scores(scores: &mut [f32], values: f32x4) {
    scores[..4].copy_from_slice(&values.to_array());
}

/// One query: where it lies and the slots it sees, in two runs; the first may be empty.
struct Row {
    at: usize,
    seen: [Range<usize>; 2],
}

/// A run of slots that some query of a block sees, and where its scores begin in a row of them.
struct Run {
    slots: Range<usize>,
    score: usize,
}

/// The two runs that a block of queries reads, each from a multiple of 4 on, and the scores of a row.
fn runs(rows: &[Row; QUERIES]) -> ([Run; 2], usize) {
    let mut score = 0;
    let runs = [0, 1].map(|index| {
        // Rows are in token order: the first starts earliest, the last ends latest. A row behind
        // the window sees no context any more, and its run is empty at the context's end.
        let (start, end) = (rows[0].seen[index].start, rows[QUERIES - 1].seen[index].end);
        let run = Run { slots: start / 4 * 4..end, score };
        if start < end {
            score += run.slots.len().next_multiple_of(4);
            return run;
        }
        Run { slots: 0..0, score }
    });
    (runs, score)
}

/// Turns a row's scores into weights: a softmax over what it sees, zero elsewhere.
fn weigh(row: &Row, runs: &[Run; 2], scores: &mut [f32]) {
    let place = |index: usize| {
        let (seen, run) = (&row.seen[index], &runs[index]);
        let start = run.score + seen.start.saturating_sub(run.slots.start);
        start..start + seen.len()
    };
    let (context, own) = (place(0), place(1));
    if context.is_empty() {
        scores[..own.start].fill(0.0);
        softmax(&mut scores[own.clone()]);
    } else {
        // The hole between the runs gets scores that no softmax notices, and no weight after it.
        scores[..context.start].fill(0.0);
        scores[context.end..own.start].fill(UNSEEN);
        softmax(&mut scores[context.start..own.end]);
        scores[context.end..own.start].fill(0.0);
    }
    scores[own.end..].fill(0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Plain attention of one segment: keys and values by slot, `[slots, kv_heads, dimensions]`.
    fn reference(
        spec: AttentionSpec,
        [kv_heads, dimensions, slot]: [usize; 3],
        segment: &Segment,
        queries: &[f32],
        [keys, values]: [&[f32]; 2],
    ) -> Vec<f32> {
        let mut out = vec![0.0; queries.len()];
        let own = slot..slot + segment.tokens;
        let slots: Vec<usize> = segment.context.clone().chain(own).collect();
        for (row, query) in queries.chunks_exact(dimensions).enumerate() {
            let last = segment.context.len() + row / spec.heads;
            let kv_head = row % spec.heads / (spec.heads / kv_heads);
            let start = spec.window.map_or(0, |window| (last + 1).saturating_sub(window));
            let end = if spec.causal { last + 1 } else { slots.len() };
            let at = |position: usize| (slots[position] * kv_heads + kv_head) * dimensions;
            let scores: Vec<f64> = (start..end)
                .map(|p| {
                    let key = &keys[at(p)..at(p) + dimensions];
                    let dot: f64 =
                        query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    (dot * f64::from(spec.scale)).exp()
                })
                .collect();
            let sum: f64 = scores.iter().sum();
            for (p, score) in (start..end).zip(scores) {
                for d in 0..dimensions {
                    out[row * dimensions + d] += (score / sum) as f32 * values[at(p) + d];
                }
            }
        }
        out
    }

    /// Fills the cache up to `slot`, runs the segments from there and compares each of them.
    fn check(shape: [usize; 3], spec: AttentionSpec, slot: usize, segments: &[Segment]) {
        let [kv_heads, dimensions, spare] = shape;
        let tokens: usize = segments.iter().map(|segment| segment.tokens).sum();
        let total = slot + tokens;
        let width = kv_heads * dimensions;
        let (keys, values) = (random(total * width, 1), random(total * width, 2));
        let queries = random(tokens * spec.heads * dimensions, 3);
        let mut cache = KvCache::new(kv_heads, dimensions, total + spare).unwrap();
        let split = slot * width;
        // What an earlier pass left behind must not matter.
        let old = random((total + spare) * width, 4);
        cache.write(&old, &old, 0);
        cache.write(&keys[..split], &values[..split], 0);
        cache.write(&keys[split..], &values[split..], slot);
        let mut out = vec![f32::NAN; queries.len()];
        attention(&Pool::serial(), spec, &cache, &queries, slot, segments, &mut out);
        if let [Segment { context, .. }] = segments
            && spec.causal
            && context.end == slot
        {
            // A token's numbers are the same to the bit when it is computed alone.
            let row = spec.heads * dimensions;
            for (token, out) in out.chunks_exact(row).enumerate() {
                let mut alone = vec![f32::NAN; row];
                let segment = Segment { tokens: 1, context: context.start..slot + token };
                let queries = &queries[token * row..][..row];
                attention(
                    &Pool::new(2),
                    spec,
                    &cache,
                    queries,
                    slot + token,
                    &[segment],
                    &mut alone,
                );
                assert_eq!(alone, out);
            }
        }
        let mut token = 0;
        for segment in segments {
            let part = token * spec.heads * dimensions..;
            let part = &queries[part][..segment.tokens * spec.heads * dimensions];
            let place = [kv_heads, dimensions, slot + token];
            let expected = reference(spec, place, segment, part, [&keys, &values]);
            let actual = &out[token * spec.heads * dimensions..][..expected.len()];
            assert_close(actual, &expected, 1e-4);
            token += segment.tokens;
        }
    }

    fn segment(tokens: usize, context: Range<usize>) -> Segment {
        Segment { tokens, context }
    }

    #[test]
    fn agrees_with_the_reference_at_odd_shapes() {
        let shapes = [
            (1, 1, 1, 4, 0),
            (3, 1, 5, 12, 0),
            (9, 3, 7, 64, 10),
            (4, 1, 3, 20, 33),
            // Tokens that see several spans.
            (6, 2, 3, 20, 300),
            (7, 1, 1, 8, 127),
        ];
        for (heads, kv_heads, tokens, dimensions, position) in shapes {
            for window in [None, Some(1), Some(4), Some(6), Some(131)] {
                let spec = AttentionSpec { heads, scale: 0.3, window, causal: true };
                let segments = [segment(tokens, 0..position)];
                check([kv_heads, dimensions, 0], spec, position, &segments);
            }
        }
    }

    #[test]
    fn segments_see_their_context_and_themselves_alone() {
        let passes: [(usize, &[Segment]); 5] = [
            // Unrelated texts.
            (0, &[segment(3, 0..0), segment(1, 0..0), segment(9, 0..0)]),
            (7, &[segment(2, 0..0), segment(5, 0..0)]),
            // Branches of one prompt.
            (13, &[segment(1, 0..13), segment(4, 0..13), segment(2, 0..13), segment(7, 0..13)]),
            // A text that goes on, then others; and contexts anywhere.
            (21, &[segment(6, 5..21), segment(3, 0..0), segment(2, 0..21)]),
            (30, &[segment(5, 3..10), segment(5, 9..27), segment(5, 12..13), segment(1, 26..30)]),
        ];
        for (slot, segments) in passes {
            for window in [None, Some(1), Some(3), Some(5), Some(12)] {
                for (heads, kv_heads) in [(1, 1), (3, 1), (6, 2)] {
                    let spec = AttentionSpec { heads, scale: 0.4, window, causal: true };
                    check([kv_heads, 12, 5], spec, slot, segments);
                }
            }
        }
    }

    #[test]
    fn without_causality_a_token_sees_its_whole_segment() {
        let segments = [segment(3, 0..0), segment(6, 2..9), segment(1, 0..0), segment(8, 0..11)];
        for (heads, kv_heads) in [(1, 1), (4, 2)] {
            let spec = AttentionSpec { heads, scale: 0.4, window: None, causal: false };
            check([kv_heads, 8, 3], spec, 11, &segments);
        }
    }
}
