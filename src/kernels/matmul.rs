//! Products of rows of activations with a weight matrix: `out[t, r] = sum_c x[t, c] * w[r, c]`.
//!
//! With a quantised matrix the sum runs group by group in integers:
//! `out += scale_w * scale_x * (sum(code * x) - offset * sum(x)) + minimum * scale_x * sum(x)`.

use crate::arch::{self, Codes, TILE_TOKENS};
use crate::matrix::{Matrix, Quantised, Storage};
use crate::quantise::QuantisedRows;
use crate::{ACTIVATION_BLOCK, PANEL_ROWS};
use wide::f32x4;

/// Sums of one token with the 8 rows of a panel.
type RowSums = [f32x4; 2];

/// Buffers that matrix products need, kept between calls.
#[derive(Default)]
pub struct Workspace {
    activations: QuantisedRows,
    /// One panel with a byte for each code.
    unpacked: Vec<u8>,
}

impl Workspace {
    /// Quantises `x`, `[tokens, columns]`, for the products that follow.
    pub fn quantise(&mut self, x: &[f32], tokens: usize, columns: usize) {
        self.activations.quantise(x, tokens, columns);
    }

    /// Computes `out = x * matrix^T`, `[tokens, rows]`.
    ///
    /// Where the matrix [is quantised](Matrix::is_quantised), `x` is what
    /// [`quantise`](Self::quantise) was last given.
    ///
    /// # Panics
    /// When a slice is shorter than its shape demands.
    pub fn product(&mut self, x: &[f32], tokens: usize, matrix: &Matrix, out: &mut [f32]) {
        let out = &mut out[..tokens * matrix.rows];
        match &matrix.storage {
            Storage::Float(values) => float_product(x, tokens, matrix, values, out),
            Storage::Quantised(weights) => {
                let x = &self.activations;
                assert_eq!((x.tokens, x.columns), (tokens, matrix.columns));
                quantised_product(matrix, weights, x, &mut self.unpacked, out);
            }
        }
    }
}

/// Codes, scales and minima of one panel.
#[derive(Clone, Copy)]
struct Panel<'a> {
    codes: &'a [u8],
    scales: &'a [[f32; PANEL_ROWS]],
    mins: &'a [[f32; PANEL_ROWS]],
    offset: i32,
}

fn quantised_product(
    matrix: &Matrix,
    weights: &Quantised,
    x: &QuantisedRows,
    unpacked: &mut Vec<u8>,
    out: &mut [f32],
) {
    let panel_codes = PANEL_ROWS * matrix.columns / if weights.nibbles { 2 } else { 1 };
    let groups = matrix.columns / weights.group;
    // Unpacking pays once a panel is used more often than one tile.
    let unpack = weights.nibbles && x.tokens > TILE_TOKENS;
    let split = weights.code_bits > arch::CODE_BITS;
    let kernel = match (weights.nibbles && !unpack, weights.group, split) {
        (true, _, _) => panel_product::<ACTIVATION_BLOCK, true, false>,
        (false, 16, _) => panel_product::<16, false, false>,
        (false, _, false) => panel_product::<ACTIVATION_BLOCK, false, false>,
        (false, _, true) => panel_product::<ACTIVATION_BLOCK, false, true>,
    };
    for panel in 0..matrix.rows.div_ceil(PANEL_ROWS) {
        let group_range = panel * groups..(panel + 1) * groups;
        let mut codes = &weights.codes[panel * panel_codes..][..panel_codes];
        if unpack {
            unpacked.resize(PANEL_ROWS * matrix.columns, 0);
            unpack_nibbles(codes, unpacked);
            codes = unpacked;
        }
        let panel_weights = Panel {
            codes,
            scales: &weights.scales.as_chunks().0[group_range.clone()],
            mins: weights.mins.as_chunks().0.get(group_range).unwrap_or_default(),
            offset: weights.offset,
        };
        kernel(panel_weights, x, Output { values: out, rows: matrix.rows, panel });
    }
}

fn unpack_nibbles(packed: &[u8], unpacked: &mut [u8]) {
    let pairs = packed.as_chunks::<32>().0.iter();
    for (bytes, codes) in pairs.zip(unpacked.as_chunks_mut::<64>().0) {
        let (low, high) = codes.split_at_mut(32);
        let halves = bytes.as_chunks::<16>().0.iter();
        for ((bytes, low), high) in
            halves.zip(low.as_chunks_mut::<16>().0).zip(high.as_chunks_mut::<16>().0)
        {
            let codes = arch::load_codes(bytes);
            arch::store_codes(arch::low_nibbles(codes), low);
            arch::store_codes(arch::high_nibbles(codes), high);
        }
    }
}

/// Where a panel's sums go: `[tokens, rows]`, columns `8 * panel ..`.
struct Output<'a> {
    values: &'a mut [f32],
    rows: usize,
    panel: usize,
}

impl Output<'_> {
    #[inline(always)]
    fn store(&mut self, token: usize, [low, high]: RowSums) {
        let first = self.panel * PANEL_ROWS;
        let width = PANEL_ROWS.min(self.rows - first);
        let out = &mut self.values[token * self.rows + first..][..width];
        let (low, high) = (low.to_array(), high.to_array());
        if let Some(out) = out.first_chunk_mut::<PANEL_ROWS>() {
            out[..4].copy_from_slice(&low);
            out[4..].copy_from_slice(&high);
        } else {
            for (value, sum) in out.iter_mut().zip(low.into_iter().chain(high)) {
                *value = sum;
            }
        }
    }
}

/// All tokens with one panel: tiles of [`TILE_TOKENS`], then one by one.
fn panel_product<const GROUP: usize, const NIBBLES: bool, const SPLIT: bool>(
    panel: Panel<'_>,
    x: &QuantisedRows,
    mut out: Output<'_>,
) {
    let mut token = 0;
    while token + TILE_TOKENS <= x.tokens {
        let sums = tile::<TILE_TOKENS, GROUP, NIBBLES, SPLIT>(panel, x, token);
        for (index, sums) in sums.into_iter().enumerate() {
            out.store(token + index, sums);
        }
        token += TILE_TOKENS;
    }
    while token < x.tokens {
        let [sums] = tile::<1, GROUP, NIBBLES, SPLIT>(panel, x, token);
        out.store(token, sums);
        token += 1;
    }
}

/// The codes of 8 columns: `[first or second 4 columns][rows 0-3 or 4-7]`.
#[inline(always)]
fn load_pair<const NIBBLES: bool>(codes: &[u8], pair: usize) -> [[Codes; 2]; 2] {
    if NIBBLES {
        let halves = codes.as_chunks::<32>().0[pair].as_chunks::<16>().0;
        let bytes = [arch::load_codes(&halves[0]), arch::load_codes(&halves[1])];
        [bytes.map(arch::low_nibbles), bytes.map(arch::high_nibbles)]
    } else {
        let quads = codes.as_chunks::<64>().0[pair].as_chunks::<16>().0;
        [
            [arch::load_codes(&quads[0]), arch::load_codes(&quads[1])],
            [arch::load_codes(&quads[2]), arch::load_codes(&quads[3])],
        ]
    }
}

/// `TOKENS` tokens with one panel.
///
/// With `SPLIT` the codes are wider than the dot product takes, and go through it as two nibbles.
#[inline(always)]
fn tile<const TOKENS: usize, const GROUP: usize, const NIBBLES: bool, const SPLIT: bool>(
    panel: Panel<'_>,
    x: &QuantisedRows,
    first: usize,
) -> [RowSums; TOKENS] {
    let mut sums = [[f32x4::ZERO; 2]; TOKENS];
    let code_bytes = GROUP * PANEL_ROWS / if NIBBLES { 2 } else { 1 };
    let rows: [&[[i8; GROUP]]; TOKENS] = std::array::from_fn(|token| {
        x.codes[(first + token) * x.columns..][..x.columns].as_chunks::<GROUP>().0
    });
    for (group, scales) in panel.scales.iter().enumerate() {
        let codes = &panel.codes[group * code_bytes..][..code_bytes];
        let mut low = [[arch::zero(); 2]; TOKENS];
        let mut high = [[arch::zero(); 2]; TOKENS];
        for pair in 0..GROUP / 8 {
            let pair_codes = load_pair::<NIBBLES>(codes, pair);
            for token in 0..TOKENS {
                let quads = rows[token][group].as_chunks::<4>().0;
                for (half, quad_codes) in pair_codes.iter().enumerate() {
                    let activations = arch::splat_activations(&quads[2 * pair + half]);
                    for side in 0..2 {
                        let codes = quad_codes[side];
                        if SPLIT {
                            let nibbles = arch::low_nibbles(codes);
                            low[token][side] = arch::dot(low[token][side], nibbles, activations);
                            let nibbles = arch::high_nibbles(codes);
                            high[token][side] = arch::dot(high[token][side], nibbles, activations);
                        } else {
                            low[token][side] = arch::dot(low[token][side], codes, activations);
                        }
                    }
                }
            }
        }
        let scales = split_lanes(scales);
        let mins = panel.mins.get(group).map(split_lanes);
        for token in 0..TOKENS {
            let at = (first + token) * x.columns + group * GROUP;
            let scale = x.scales[at / ACTIVATION_BLOCK];
            let sum: i32 = x.half_sums[at / 16..][..GROUP / 16].iter().sum();
            let correction = wide::i32x4::splat(panel.offset * sum);
            for side in 0..2 {
                let mut integer = arch::finish(low[token][side]);
                if SPLIT {
                    let high = arch::finish(high[token][side]);
                    integer += high << 4;
                }
                let product = f32x4::from_i32x4(integer - correction);
                sums[token][side] += product * (scales[side] * f32x4::splat(scale));
                if let Some(mins) = mins {
                    sums[token][side] += mins[side] * f32x4::splat(scale * sum as f32);
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn split_lanes(lanes: &[f32; PANEL_ROWS]) -> [f32x4; 2] {
    let [a, b, c, d, e, f, g, h] = *lanes;
    [f32x4::new([a, b, c, d]), f32x4::new([e, f, g, h])]
}

fn float_product(x: &[f32], tokens: usize, matrix: &Matrix, values: &[f32], out: &mut [f32]) {
    let columns = matrix.columns;
    for (panel, weights) in values.chunks_exact(columns * PANEL_ROWS).enumerate() {
        let weights = weights.as_chunks::<PANEL_ROWS>().0;
        let mut output = Output { values: out, rows: matrix.rows, panel };
        let mut token = 0;
        while token + TILE_TOKENS <= tokens {
            let rows = std::array::from_fn(|i| &x[(token + i) * columns..][..columns]);
            for (index, sums) in float_tile::<TILE_TOKENS>(weights, rows).into_iter().enumerate() {
                output.store(token + index, sums);
            }
            token += TILE_TOKENS;
        }
        while token < tokens {
            let [sums] = float_tile(weights, [&x[token * columns..][..columns]]);
            output.store(token, sums);
            token += 1;
        }
    }
}

#[inline(always)]
fn float_tile<const TOKENS: usize>(
    weights: &[[f32; PANEL_ROWS]],
    rows: [&[f32]; TOKENS],
) -> [RowSums; TOKENS] {
    let mut sums = [[f32x4::ZERO; 2]; TOKENS];
    let rows = rows.map(|row| &row[..weights.len()]);
    for (column, lanes) in weights.iter().enumerate() {
        let lanes = split_lanes(lanes);
        for token in 0..TOKENS {
            let value = f32x4::splat(rows[token][column]);
            sums[token][0] += lanes[0] * value;
            sums[token][1] += lanes[1] * value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Precision, tests::random_tensor};
    use crate::quant::{TensorType, dequantise};
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The plain product of decoded weights with activations rounded as the kernel rounds them.
    fn reference(
        x: &[f32],
        tokens: usize,
        weights: &[f32],
        columns: usize,
        int8: bool,
    ) -> Vec<f32> {
        let mut x = x.to_vec();
        if int8 {
            let mut rows = QuantisedRows::default();
            rows.quantise(&x, tokens, columns);
            for (index, value) in x.iter_mut().enumerate() {
                *value = f32::from(rows.codes[index]) * rows.scales[index / ACTIVATION_BLOCK];
            }
        }
        let rows = weights.chunks_exact(columns);
        x.chunks_exact(columns)
            .flat_map(|x| rows.clone().map(move |row| (x, row)))
            .map(|(x, row)| {
                x.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            })
            .collect()
    }

    fn product(x: &[f32], tokens: usize, matrix: &Matrix, out: &mut [f32]) {
        let mut workspace = Workspace::default();
        workspace.quantise(x, tokens, matrix.columns());
        workspace.product(x, tokens, matrix, out);
    }

    #[test]
    fn every_type_agrees_with_the_plain_product() {
        for tensor_type in TensorType::ALL {
            for (tokens, rows, columns) in [(1, 8, 256), (3, 13, 256), (9, 16, 512), (6, 1, 768)] {
                let raw = random_tensor(tensor_type, rows * columns);
                let mut decoded = vec![0.0; rows * columns];
                dequantise(tensor_type, &raw, &mut decoded);
                let x = random(tokens * columns, 3);
                for precision in [Precision::Int8, Precision::Float32] {
                    let matrix =
                        Matrix::pack(tensor_type, &raw, [rows, columns], precision, |r| r).unwrap();
                    let mut out = vec![f32::NAN; tokens * rows];
                    product(&x, tokens, &matrix, &mut out);
                    let expected = reference(&x, tokens, &decoded, columns, matrix.is_quantised());
                    assert_close(&out, &expected, 2e-4);
                }
            }
        }
    }

    #[test]
    fn extreme_codes_do_not_saturate() {
        // Largest codes against largest activations of both signs: where a lowering of the dot
        // product saturates at 16 bits, this is where it would show.
        for (tensor_type, fill) in
            [(TensorType::Q8_0, 0x80), (TensorType::Q8_0, 0x7f), (TensorType::Q6_K, 0xff)]
        {
            let columns = 256;
            let mut raw = vec![fill; tensor_type.bytes_of(8 * columns).unwrap()];
            let one = half::f16::from_f32(1.0).to_le_bytes();
            for block in raw.chunks_exact_mut(tensor_type.block_bytes()) {
                let at = if tensor_type == TensorType::Q6_K { 208 } else { 0 };
                block[at..at + 2].copy_from_slice(&one);
            }
            let mut decoded = vec![0.0; 8 * columns];
            dequantise(tensor_type, &raw, &mut decoded);
            let matrix =
                Matrix::pack(tensor_type, &raw, [8, columns], Precision::Int8, |r| r).unwrap();
            for sign in [1.0, -1.0] {
                let x = vec![127.0 * sign; columns];
                let mut out = vec![0.0; 8];
                product(&x, 1, &matrix, &mut out);
                assert_close(&out, &reference(&x, 1, &decoded, columns, true), 1e-6);
            }
        }
    }
}
