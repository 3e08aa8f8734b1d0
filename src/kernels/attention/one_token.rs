//! Attention of a single token: the slots it sees are cut into spans, so that threads can share even
//! one head. Each span has a softmax of its own; the sums are brought to one scale and added after.

use super::{AttentionSpec, KvCache, VALUES, add_weighted, products, put_scores};
use crate::exp::exp;
use crate::pool::Pool;
use crate::softmax::exponentials;
use std::ops::Range;
use wide::f32x4;

/// Slots of a span, a multiple of 4. No matter of the threads, so that they change no result.
const SPAN: usize = 128;

/// Query heads that share loaded keys and values.
const HEADS: usize = 4;

/// One query head's share of a span.
#[derive(Clone, Copy)]
struct Share<'a> {
    /// The largest score.
    largest: f32,
    /// The sum of the scores' exponentials, relative to the largest.
    sum: f32,
    /// The values, each times its score's exponential.
    values: &'a [f32],
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
    let dimensions = cache.dimensions;
    let group = spec.heads / cache.heads;
    let first = slots.start / SPAN;
    let spans = slots.end.div_ceil(SPAN) - first;
    // `[kv head, span, head of the group, 2 + width]`: the largest score, the sum, the values.
    let share = 2 + cache.width;
    let mut shares = vec![0.0; spec.heads * spans * share];
    pool.each_chunk(&mut shares, group * share, |unit, shares| {
        let (kv_head, span) = (unit / spans, first + unit % spans);
        let seen = slots.start.max(span * SPAN)..slots.end.min((span + 1) * SPAN);
        let queries = &queries[kv_head * group * dimensions..][..group * dimensions];
        let heads = queries.chunks(HEADS * dimensions).zip(shares.chunks_mut(HEADS * share));
        for (queries, shares) in heads {
            let kernel = match queries.len() / dimensions {
                1 => span_shares::<1>,
                2 => span_shares::<2>,
                3 => span_shares::<3>,
                _ => span_shares::<HEADS>,
            };
            kernel(spec, cache, kv_head, queries, seen.clone(), shares);
        }
    });
    for (head, out) in out.chunks_exact_mut(dimensions).enumerate() {
        let (kv_head, member) = (head / group, head % group);
        let shares = (0..spans).map(|span| {
            let at = ((kv_head * spans + span) * group + member) * share;
            let (numbers, values) = shares[at..at + share].split_at(2);
            Share { largest: numbers[0], sum: numbers[1], values: &values[..dimensions] }
        });
        merge(shares, out);
    }
}

/// The shares of `HEADS` query heads, `[head, 2 + width]`.
fn span_shares<const HEADS: usize>(
    spec: AttentionSpec,
    cache: &KvCache,
    kv_head: usize,
    queries: &[f32],
    slots: Range<usize>,
    shares: &mut [f32],
) {
    let dimensions = cache.dimensions;
    let query: [&[f32]; HEADS] =
        std::array::from_fn(|head| &queries[head * dimensions..][..dimensions]);
    let start = slots.start / 4 * 4;
    let padded = (slots.end - start).next_multiple_of(4);
    let first = kv_head * cache.capacity + start;
    let mut scores = [[0.0; SPAN]; HEADS];
    let scale = f32x4::splat(spec.scale);
    let keys = &cache.keys[first * dimensions..][..padded * dimensions];
    for (quad, keys) in keys.chunks_exact(4 * dimensions).enumerate() {
        let sums = products(&query, [keys]);
        for (scores, [sum]) in scores.iter_mut().zip(sums) {
            put_scores(&mut scores[4 * quad..], sum * scale);
        }
    }
    let seen = slots.start - start..slots.end - start;
    let width = shares.len() / HEADS;
    for (scores, share) in scores.iter_mut().zip(shares.chunks_exact_mut(width)) {
        scores[..seen.start].fill(0.0);
        (share[0], share[1]) = exponentials(&mut scores[seen.clone()]);
    }
    let values = &cache.values[first * cache.width..][..seen.end * cache.width];
    let values = values.as_chunks::<VALUES>().0;
    let weights = scores.each_ref().map(|scores| &scores[..seen.end]);
    for block in 0..cache.width / VALUES {
        let mut sums = [[f32x4::ZERO; 2]; HEADS];
        let column = values.iter().skip(block).step_by(cache.width / VALUES);
        add_weighted(&mut sums, column, weights);
        for (share, sum) in shares.chunks_exact_mut(width).zip(sums) {
            let lanes = [sum[0].to_array(), sum[1].to_array()];
            share[2 + block * VALUES..][..VALUES].copy_from_slice(lanes.as_flattened());
        }
    }
}

/// Adds up the shares of a head's spans.
fn merge<'a>(shares: impl Iterator<Item = Share<'a>> + Clone, out: &mut [f32]) {
    let largest = shares.clone().fold(f32::MIN, |largest, share| largest.max(share.largest));
    let weight = |share: Share<'_>| exp(f32x4::splat(share.largest - largest)).to_array()[0];
    let sum: f32 = shares.clone().map(|share| weight(share) * share.sum).sum();
    out.fill(0.0);
    for share in shares {
        let weight = weight(share) / sum;
        out.iter_mut().zip(share.values).for_each(|(out, value)| *out += weight * value);
    }
}
