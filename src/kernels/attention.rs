//! Causal attention over a cache of keys and values, with grouped heads and a sliding window.
//!
//! Keys are interleaved by 4 positions, `[head, position / 4, dimension, 4]`, so that lanes are
//! positions and no sum runs across lanes; values are `[head, position, dimension]`. Four
//! queries share each key and value that is loaded.

use crate::softmax::softmax;
use crate::try_zeros;
use std::collections::TryReserveError;
use wide::f32x4;

/// Queries that share loaded keys and values.
const QUERIES: usize = 4;

/// Keys and values of one layer for a fixed number of positions.
pub struct KvCache {
    heads: usize,
    dimensions: usize,
    /// A multiple of 4.
    capacity: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache of `heads` key-value heads of `dimensions` for `capacity` positions.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new(heads: usize, dimensions: usize, capacity: usize) -> Result<Self, TryReserveError> {
        let capacity = capacity.next_multiple_of(4);
        let length = heads.saturating_mul(dimensions).saturating_mul(capacity);
        let (keys, values) = (try_zeros(length)?, try_zeros(length)?);
        Ok(Self { heads, dimensions, capacity, keys, values })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * (self.keys.len() + self.values.len())
    }

    /// Stores `keys` and `values`, `[tokens, heads, dimensions]`, from `position` on.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&mut self, keys: &[f32], values: &[f32], position: usize) {
        let (dimensions, capacity) = (self.dimensions, self.capacity);
        let width = self.heads * dimensions;
        for (token, (keys, values)) in
            keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate()
        {
            let position = position + token;
            assert!(position < capacity, "position {position} of {capacity}");
            for head in 0..self.heads {
                let from = head * dimensions..(head + 1) * dimensions;
                let row = (head * capacity + position) * dimensions;
                self.values[row..row + dimensions].copy_from_slice(&values[from.clone()]);
                let group = (head * capacity + position / 4 * 4) * dimensions;
                let lanes = self.keys[group..group + 4 * dimensions].as_chunks_mut::<4>().0;
                for (lane, key) in lanes.iter_mut().zip(&keys[from]) {
                    lane[position % 4] = *key;
                }
            }
        }
    }
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
}

/// Attention of `queries`, `[tokens, heads, dimensions]`, whose first token is at `position`;
/// the cache already holds their keys and values. `scores` is scratch that grows to
/// `4 * (position + tokens)` rounded up. `out` has the shape of `queries`.
pub fn attention(
    spec: AttentionSpec,
    cache: &KvCache,
    queries: &[f32],
    position: usize,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let dimensions = cache.dimensions;
    let tokens = queries.len() / (spec.heads * dimensions);
    let group = spec.heads / cache.heads;
    for kv_head in 0..cache.heads {
        // The queries that read this head: every token's `group` heads, four at a time.
        let total = tokens * group;
        let mut first = 0;
        while first < total {
            let count = QUERIES.min(total - first);
            let rows: [Row; QUERIES] = std::array::from_fn(|index| {
                // A short last block repeats its last query; the copies are not stored.
                let index = first + index.min(count - 1);
                let (token, head) = (index / group, kv_head * group + index % group);
                let last = position + token;
                Row {
                    at: (token * spec.heads + head) * dimensions,
                    start: spec.window.map_or(0, |window| (last + 1).saturating_sub(window)),
                    end: last + 1,
                }
            });
            attend(spec.scale, cache, kv_head, queries, &rows, count, scores, out);
            first += count;
        }
    }
}

/// One query: where it lies and the positions it sees, `start..end`.
#[derive(Clone, Copy)]
struct Row {
    at: usize,
    start: usize,
    end: usize,
}

#[allow(clippy::too_many_arguments, reason = "one private step of `attention`")]
fn attend(
    scale: f32,
    cache: &KvCache,
    kv_head: usize,
    queries: &[f32],
    rows: &[Row; QUERIES],
    count: usize,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let dimensions = cache.dimensions;
    // Rows are in token order: the first starts earliest, the last ends latest.
    let (start, end) = (rows[0].start / 4 * 4, rows[QUERIES - 1].end);
    let stride = (end - start).next_multiple_of(4);
    scores.resize(QUERIES * stride, 0.0);
    let query: [&[f32]; QUERIES] = rows.map(|row| &queries[row.at..row.at + dimensions]);
    let head = kv_head * cache.capacity * dimensions;
    let keys = &cache.keys[head + start * dimensions..][..stride * dimensions];
    for (group, keys) in keys.chunks_exact(4 * dimensions).enumerate() {
        let mut sums = [f32x4::ZERO; QUERIES];
        for (dimension, key) in keys.as_chunks::<4>().0.iter().enumerate() {
            let key = f32x4::new(*key);
            for (sum, query) in sums.iter_mut().zip(query) {
                *sum += key * f32x4::splat(query[dimension]);
            }
        }
        for (index, sum) in sums.into_iter().enumerate() {
            let scaled = (sum * f32x4::splat(scale)).to_array();
            scores[index * stride + 4 * group..][..4].copy_from_slice(&scaled);
        }
    }
    for (row, scores) in rows.iter().zip(scores.chunks_exact_mut(stride)) {
        let (seen, unseen) = (row.start - start..row.end - start, row.end - start..stride);
        scores[..seen.start].fill(0.0);
        scores[unseen].fill(0.0);
        softmax(&mut scores[seen]);
    }
    let values = &cache.values[head + start * dimensions..][..(end - start) * dimensions];
    for block in (0..dimensions).step_by(8) {
        let width = 8.min(dimensions - block);
        let mut sums = [[f32x4::ZERO; 2]; QUERIES];
        for (position, value) in values.chunks_exact(dimensions).enumerate() {
            let value = eight(&value[block..block + width]);
            for (index, sum) in sums.iter_mut().enumerate() {
                let weight = f32x4::splat(scores[index * stride + position]);
                sum[0] += value[0] * weight;
                sum[1] += value[1] * weight;
            }
        }
        for (sum, row) in sums.iter().zip(rows).take(count) {
            let lanes = [sum[0].to_array(), sum[1].to_array()];
            let out = &mut out[row.at + block..][..width];
            out.copy_from_slice(&lanes.as_flattened()[..width]);
        }
    }
}

/// Up to eight numbers, missing ones zero.
#[inline(always)]
fn eight(values: &[f32]) -> [f32x4; 2] {
    let mut lanes = [0.0; 8];
    match values.first_chunk::<8>() {
        Some(chunk) => lanes = *chunk,
        None => lanes[..values.len()].copy_from_slice(values),
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    [f32x4::new([a, b, c, d]), f32x4::new([e, f, g, h])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Plain attention over keys and values `[positions, kv_heads, dimensions]`.
    fn reference(
        spec: AttentionSpec,
        [kv_heads, dimensions, position]: [usize; 3],
        queries: &[f32],
        keys: &[f32],
        values: &[f32],
    ) -> Vec<f32> {
        let mut out = vec![0.0; queries.len()];
        for (row, query) in queries.chunks_exact(dimensions).enumerate() {
            let last = position + row / spec.heads;
            let kv_head = row % spec.heads / (spec.heads / kv_heads);
            let start = spec.window.map_or(0, |window| (last + 1).saturating_sub(window));
            let at = |position: usize| (position * kv_heads + kv_head) * dimensions;
            let scores: Vec<f64> = (start..=last)
                .map(|p| {
                    let key = &keys[at(p)..at(p) + dimensions];
                    let dot: f64 =
                        query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    (dot * f64::from(spec.scale)).exp()
                })
                .collect();
            let sum: f64 = scores.iter().sum();
            for (p, score) in (start..=last).zip(scores) {
                for d in 0..dimensions {
                    out[row * dimensions + d] += (score / sum) as f32 * values[at(p) + d];
                }
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_reference_at_odd_shapes() {
        let shapes = [(1, 1, 1, 4, 0), (3, 1, 5, 12, 0), (9, 3, 7, 64, 10), (4, 1, 3, 20, 33)];
        for (heads, kv_heads, tokens, dimensions, position) in shapes {
            for window in [None, Some(1), Some(4), Some(6)] {
                let spec = AttentionSpec { heads, scale: 0.3, window };
                let total = position + tokens;
                let keys = random(total * kv_heads * dimensions, 1);
                let values = random(total * kv_heads * dimensions, 2);
                let queries = random(tokens * heads * dimensions, 3);
                let mut cache = KvCache::new(kv_heads, dimensions, total).unwrap();
                let split = position * kv_heads * dimensions;
                cache.write(&keys[..split], &values[..split], 0);
                cache.write(&keys[split..], &values[split..], position);
                let mut out = vec![f32::NAN; queries.len()];
                attention(spec, &cache, &queries, position, &mut Vec::new(), &mut out);
                let shape = [kv_heads, dimensions, position];
                assert_close(&out, &reference(spec, shape, &queries, &keys, &values), 1e-4);
            }
        }
    }
}
