//! Activations as 8-bit codes: one scale for each block of 32, rounded to nearest.
//!
//! Tokens lie in tiles of at most [`TILE_TOKENS`], interleaved so that one pointer serves a tile:
//! codes are `[tile][column / STEP][token][STEP]`, numbers by block `[tile][block][token]`.

use crate::ACTIVATION_BLOCK;
use crate::arch::{self, Activation, STEP};
use crate::pool::{Disjoint, Pool};
use std::ops::Range;
use wide::{f32x4, i32x4};

/// Tokens of one tile: how often a loaded weight vector is used.
pub const TILE_TOKENS: usize = 4;
/// Bits of a rest's code.
pub(crate) const REST_BITS: u32 = 8;
/// Columns whose sums are kept as well, for weights with a scale every 16 columns.
const HALF: usize = ACTIVATION_BLOCK / 2;
/// Numbers that are worth a part of their own.
const LEAST_NUMBERS: usize = 1 << 13;

/// Quantised rows of activations, `[tokens, columns]`, with what the weight offsets need.
///
/// A value is `scale * code`, `scale` shared by the 32 values of a block. All buffers keep
/// their capacity between calls.
#[derive(Default)]
pub struct QuantisedRows {
    tokens: usize,
    columns: usize,
    codes: Vec<Activation>,
    /// Once for blocks, once for halves of them.
    by_block: Groups<Vec<f32>>,
    by_half: Groups<Vec<f32>>,
}

/// Scales and sums of runs of columns, `[tile][run][token]`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Groups<T> {
    pub(crate) scales: T,
    /// Sums of the codes, times the scale.
    pub(crate) sums: T,
}

/// A block, four values a vector.
type Quads<T> = [T; ACTIVATION_BLOCK / 4];
/// The codes of a token's block in words of [`STEP`].
type Words = [f32x4; ACTIVATION_BLOCK / STEP / 4];

/// The tokens of one tile.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// The first token.
    pub(crate) first: usize,
    /// How many tokens.
    pub(crate) tokens: usize,
    /// `[column / STEP][token][STEP]`.
    pub(crate) codes: &'a [Activation],
    /// `[block][token]`.
    pub(crate) by_block: Groups<&'a [f32]>,
    /// `[half block][token]`.
    pub(crate) by_half: Groups<&'a [f32]>,
}

impl QuantisedRows {
    /// Quantises `values`, `[tokens, columns]`.
    ///
    /// # Panics
    /// When `columns` is not a multiple of 32 or `values` is shorter than `tokens * columns`.
    pub fn quantise(&mut self, pool: &Pool, values: &[f32], tokens: usize, columns: usize) {
        assert_eq!(
            columns % ACTIVATION_BLOCK,
            0,
            "columns must be a multiple of {ACTIVATION_BLOCK}"
        );
        let values = &values[..tokens * columns];
        let (blocks, halves) = (columns / ACTIVATION_BLOCK, columns / HALF);
        self.resize(tokens, columns);
        let codes = Disjoint::new(&mut self.codes);
        let (by_block, by_half) = (self.by_block.disjoint(), self.by_half.disjoint());
        let tiles = tokens.div_ceil(TILE_TOKENS);
        let parts = pool.parts(tiles, LEAST_NUMBERS / (TILE_TOKENS * columns));
        pool.run(parts, |part| {
            for tile in part * tiles / parts..(part + 1) * tiles / parts {
                let first = tile * TILE_TOKENS;
                let count = TILE_TOKENS.min(tokens - first);
                // SAFETY: each tile is visited by one part, and tiles do not overlap.
                let out = unsafe {
                    TileMut {
                        codes: codes.slice(first * columns, count * columns),
                        by_block: by_block.slice(first * blocks, count * blocks),
                        by_half: by_half.slice(first * halves, count * halves),
                    }
                };
                out.fill(&values[first * columns..][..count * columns], columns);
            }
        });
    }

    fn resize(&mut self, tokens: usize, columns: usize) {
        (self.tokens, self.columns) = (tokens, columns);
        self.codes.resize(tokens * columns, 0);
        self.by_block.resize(tokens * (columns / ACTIVATION_BLOCK));
        self.by_half.resize(tokens * (columns / HALF));
    }

    /// Number of rows and of values in each.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.tokens, self.columns]
    }

    pub(crate) fn tiles(&self) -> impl Iterator<Item = Tile<'_>> {
        (0..self.tokens).step_by(TILE_TOKENS).map(|first| self.tile(first))
    }

    /// The tile that begins with token `first`.
    pub(crate) fn tile(&self, first: usize) -> Tile<'_> {
        let (blocks, halves) = (self.columns / ACTIVATION_BLOCK, self.columns / HALF);
        let tokens = TILE_TOKENS.min(self.tokens - first);
        Tile {
            first,
            tokens,
            codes: &self.codes[first * self.columns..][..tokens * self.columns],
            by_block: self.by_block.part(first * blocks, tokens * blocks),
            by_half: self.by_half.part(first * halves, tokens * halves),
        }
    }

    /// Becomes what the codes of the single row `coarse` leave of `values`: with this one's scales and sums,
    /// a value is `scale * (code of coarse << REST_BITS + code)`.
    pub(crate) fn refine(&mut self, coarse: &Self, values: &[f32]) {
        self.resize(1, values.len());
        let mut rest = TileMut {
            codes: &mut self.codes,
            by_block: self.by_block.part_mut(),
            by_half: self.by_half.part_mut(),
        };
        let codes = coarse.codes.as_chunks::<ACTIVATION_BLOCK>().0;
        let values = values.as_chunks::<ACTIVATION_BLOCK>().0;
        let blocks = codes.iter().zip(&coarse.by_block.scales).zip(values);
        let unit = f32x4::splat((1 << REST_BITS) as f32);
        // No dot product takes -128.
        let largest = f32x4::splat(((1 << (REST_BITS - 1)) - 1) as f32);
        for (block, ((codes, scale), values)) in blocks.enumerate() {
            let scale = scale / (1 << REST_BITS) as f32;
            let inverse = f32x4::splat(if scale > 0.0 { 1.0 / scale } else { 0.0 });
            let quads: Quads<f32x4> = bytemuck::cast(*values);
            let codes: Quads<i32x4> = bytemuck::cast(codes.map(i32::from));
            let left: Quads<i32x4> = std::array::from_fn(|quad| {
                let left = quads[quad] * inverse - f32x4::from_i32x4(codes[quad]) * unit;
                round(left.fast_min(largest).fast_max(-largest))
            });
            let whole = std::array::from_fn(|quad| (codes[quad] << REST_BITS) + left[quad]);
            rest.put([block, 1, 0], scale, left, whole);
        }
    }

    /// The values that the codes stand for, `[tokens, columns]`.
    #[cfg(test)]
    pub(crate) fn values(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.tokens * self.columns];
        for tile in self.tiles() {
            for (index, code) in tile.codes.iter().enumerate() {
                let token = index / STEP % tile.tokens;
                let column = index / STEP / tile.tokens * STEP + index % STEP;
                let scale = tile.by_block.scales[column / ACTIVATION_BLOCK * tile.tokens + token];
                values[(tile.first + token) * self.columns + column] = f32::from(*code) * scale;
            }
        }
        values
    }
}

impl Groups<Vec<f32>> {
    fn resize(&mut self, length: usize) {
        self.scales.resize(length, 0.0);
        self.sums.resize(length, 0.0);
    }

    fn disjoint(&mut self) -> Groups<Disjoint<'_, f32>> {
        Groups { scales: Disjoint::new(&mut self.scales), sums: Disjoint::new(&mut self.sums) }
    }

    fn part_mut(&mut self) -> Groups<&mut [f32]> {
        Groups { scales: &mut self.scales, sums: &mut self.sums }
    }

    fn part(&self, start: usize, length: usize) -> Groups<&[f32]> {
        Groups { scales: &self.scales[start..][..length], sums: &self.sums[start..][..length] }
    }
}

impl Groups<Disjoint<'_, f32>> {
    /// # Safety
    /// As of [`Disjoint::slice`].
    #[allow(clippy::mut_from_ref, reason = "the parts are disjoint, as the caller promises")]
    unsafe fn slice(&self, start: usize, length: usize) -> Groups<&mut [f32]> {
        // SAFETY: the caller promises that no two parts overlap.
        unsafe {
            Groups {
                scales: self.scales.slice(start, length),
                sums: self.sums.slice(start, length),
            }
        }
    }
}

/// Where a tile's numbers go; shapes as in [`Tile`].
struct TileMut<'a> {
    codes: &'a mut [Activation],
    by_block: Groups<&'a mut [f32]>,
    by_half: Groups<&'a mut [f32]>,
}

impl TileMut<'_> {
    fn fill(mut self, values: &[f32], columns: usize) {
        let tokens = values.len() / columns;
        if tokens == TILE_TOKENS {
            return self.fill_whole(values, columns);
        }
        for (token, row) in values.chunks_exact(columns).enumerate() {
            for (block, values) in row.as_chunks::<ACTIVATION_BLOCK>().0.iter().enumerate() {
                let (scale, quantised) = quantise_block(values);
                self.put([block, tokens, token], scale, quantised, quantised);
            }
        }
    }

    /// As [`Self::fill`] for a whole tile: what runs across a block is done for its four tokens at once.
    fn fill_whole(self, values: &[f32], columns: usize) {
        let rows: [&[[f32; ACTIVATION_BLOCK]]; TILE_TOKENS] =
            std::array::from_fn(|token| values[token * columns..][..columns].as_chunks().0);
        let codes = self.codes.as_chunks_mut::<{ STEP * TILE_TOKENS }>().0;
        let mut groups = [self.by_half, self.by_block].map(|groups| {
            let scales = groups.scales.as_chunks_mut::<TILE_TOKENS>().0;
            (scales, groups.sums.as_chunks_mut::<TILE_TOKENS>().0)
        });
        let mut put = |kind: usize, group: usize, scale: f32x4, sum: i32x4| {
            let (scales, sums) = &mut groups[kind];
            scales[group] = scale.to_array();
            sums[group] = (scale * f32x4::from_i32x4(sum)).to_array();
        };
        for (block, codes) in codes.chunks_exact_mut(ACTIVATION_BLOCK / STEP).enumerate() {
            let quads: [Quads<f32x4>; TILE_TOKENS] = rows.map(|row| bytemuck::cast(row[block]));
            let (scale, inverse) = scales(across(quads.map(largest), f32x4::fast_max));
            let scale = scale + across(quads.map(poison), |a, b| a + b);
            let inverse = inverse.to_array();
            let quantised: [Quads<i32x4>; TILE_TOKENS] = std::array::from_fn(|token| {
                quads[token].map(|quad| round(quad * f32x4::splat(inverse[token])))
            });
            // Words of one step's codes of a token become the step's words of all tokens.
            let words: [Words; TILE_TOKENS] =
                quantised.map(|quantised| bytemuck::cast(arch::activations(quantised)));
            for (four, codes) in codes.chunks_exact_mut(4).enumerate() {
                let steps = f32x4::transpose(words.map(|words| words[four]));
                codes.copy_from_slice(&steps.map(bytemuck::cast));
            }
            let sum = |range: Range<usize>| {
                let sums = quantised.map(|quads| {
                    quads[range.clone()].iter().fold(i32x4::ZERO, |sum, quad| sum + *quad)
                });
                let [a, b, c, d] =
                    f32x4::transpose(bytemuck::cast(sums)).map(bytemuck::cast::<f32x4, i32x4>);
                a + b + c + d
            };
            let (first, second) = (sum(0..HALF / 4), sum(HALF / 4..ACTIVATION_BLOCK / 4));
            put(0, 2 * block, scale, first);
            put(0, 2 * block + 1, scale, second);
            put(1, block, scale, first + second);
        }
    }

    /// Stores one token's block: its codes, and the scale and sums of `summed`.
    #[inline(always)]
    fn put(
        &mut self,
        [block, tokens, token]: [usize; 3],
        scale: f32,
        codes: Quads<i32x4>,
        summed: Quads<i32x4>,
    ) {
        let at = block * ACTIVATION_BLOCK / STEP * tokens;
        let steps =
            &mut self.codes.as_chunks_mut::<STEP>().0[at..][..ACTIVATION_BLOCK / STEP * tokens];
        let narrow = arch::activations(codes);
        for (out, step) in steps.chunks_exact_mut(tokens).zip(narrow.as_chunks::<STEP>().0) {
            out[token] = *step;
        }
        let sum =
            |quads: &[i32x4]| quads.iter().fold(i32x4::ZERO, |sum, quad| sum + *quad).reduce_add();
        let (first, second) = summed.split_at(HALF / 4);
        let (first, second) = (sum(first), sum(second));
        let put = |groups: &mut Groups<&mut [f32]>, group: usize, sum: i32| {
            groups.scales[group * tokens + token] = scale;
            groups.sums[group * tokens + token] = scale * sum as f32;
        };
        put(&mut self.by_half, 2 * block, first);
        put(&mut self.by_half, 2 * block + 1, second);
        // What is not finite gives codes, and sums, that mean nothing beside a scale of NaN.
        put(&mut self.by_block, block, first.wrapping_add(second));
    }
}

/// Adding and subtracting this rounds a small float to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

/// The scale and the codes of a block, four a vector.
#[inline(always)]
fn quantise_block(block: &[f32; ACTIVATION_BLOCK]) -> (f32, Quads<i32x4>) {
    let quads: Quads<f32x4> = bytemuck::cast(*block);
    let largest = largest(quads).to_array().into_iter().fold(0.0, f32::max);
    let (scale, inverse) = scales(f32x4::splat(largest));
    let scale = scale.to_array()[0] + poison(quads).reduce_add();
    (scale, quads.map(|quad| round(quad * inverse)))
}

/// The largest sizes of each lane.
#[inline(always)]
fn largest(quads: Quads<f32x4>) -> f32x4 {
    quads.iter().fold(f32x4::ZERO, |largest, quad| largest.fast_max(quad.abs()))
}

/// Zeros unless a value is not finite; the codes of such a block would look like numbers.
#[inline(always)]
fn poison(quads: Quads<f32x4>) -> f32x4 {
    quads.iter().fold(f32x4::ZERO, |sum, quad| sum + *quad) * f32x4::ZERO
}

/// Scales of blocks with these largest sizes, and their inverses; of zeros, and what is next to them, some
/// number that leaves them zeros.
#[inline(always)]
fn scales(largest: f32x4) -> (f32x4, f32x4) {
    let most = f32x4::splat(127.0);
    (largest / most, most / largest.fast_max(f32x4::splat(1e-30)))
}

/// Combines the four lanes of each token's vector; lanes of the result are tokens.
#[inline(always)]
fn across(tokens: [f32x4; TILE_TOKENS], combine: impl Fn(f32x4, f32x4) -> f32x4) -> f32x4 {
    let [a, b, c, d] = f32x4::transpose(tokens);
    combine(combine(a, b), combine(c, d))
}

/// The nearest integers of small numbers.
#[inline(always)]
fn round(quad: f32x4) -> i32x4 {
    let zero = i32x4::splat(ROUND.to_bits() as i32);
    bytemuck::cast::<f32x4, i32x4>(quad + f32x4::splat(ROUND)) - zero
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::random;
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn quantised(values: &[f32], tokens: usize) -> QuantisedRows {
        let mut rows = QuantisedRows::default();
        rows.quantise(&Pool::serial(), values, tokens, values.len() / tokens);
        rows
    }

    #[test]
    fn codes_are_the_nearest_and_sums_add_up() {
        for (tokens, columns) in [(1, 32), (3, 64), (13, 576)] {
            let values = random(tokens * columns, 7);
            let rows = quantised(&values, tokens);
            let largest = 1.0 / 127.0;
            for (value, coded) in values.iter().zip(rows.values()) {
                assert!((value - coded).abs() <= 0.501 * largest, "{value}, coded {coded}");
            }
            for tile in rows.tiles() {
                for (groups, length) in [(tile.by_block, 32), (tile.by_half, 16)] {
                    for (index, sum) in groups.sums.iter().enumerate() {
                        let (group, token) = (index / tile.tokens, index % tile.tokens);
                        let row = &rows.values()[(tile.first + token) * columns..][..columns];
                        let expected: f32 = row[group * length..][..length].iter().sum();
                        assert!((sum - expected).abs() < 1e-4, "{sum} is not {expected}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_poisons_its_block_alone() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [1.0; 64];
            values[37] = bad;
            let rows = quantised(&values, 1);
            let scales = rows.by_block.scales;
            assert!(scales[0].is_finite() && scales[1].is_nan());
        }
    }

    #[test]
    fn zeros_stay_zero() {
        let rows = quantised(&[0.0; 32], 1);
        assert_eq!((rows.by_block.scales[0], rows.codes[0]), (0.0, 0));
    }
}
