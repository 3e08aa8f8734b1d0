//! Products of rows of activations with weight matrices: `out[t, r] = sum_c x[t, c] * w[r, c]`.
//!
//! With a quantised matrix the sum runs group by group in integers:
//! `out += scale_w * scale_x * (sum(code * x) - offset * sum(x)) + minimum * scale_x * sum(x)`.

use crate::PANEL_ROWS;
use crate::arch::STREAMS;
use crate::matrix::{Matrix, Storage};
use crate::one_token::one_token;
use crate::pool::{Disjoint, Pool};
use crate::quantise::QuantisedRows;
use crate::several_tokens::several_tokens;
use std::ops::Range;
use wide::f32x4;

/// Sums of one token with the 8 rows of a panel.
pub(crate) type RowSums = [f32x4; 2];

/// Multiply-adds that are worth a part of their own.
const LEAST_WORK: usize = 1 << 17;

/// A matrix and where its product goes, `[tokens, rows]`.
pub type Output<'a> = (&'a Matrix, &'a mut [f32]);

/// Buffers that matrix products need, kept between calls.
#[derive(Default)]
pub struct Workspace {
    activations: Activated,
}

/// Activations of a pass.
#[derive(Default)]
pub(crate) struct Activated {
    pub(crate) rows: QuantisedRows,
    /// Of a single token, what `rows` leaves.
    pub(crate) rest: QuantisedRows,
}

impl Workspace {
    /// Computes `out = x * matrix^T`, `[tokens, rows]`, for each output; `x` is `[tokens, columns]`.
    ///
    /// Activations have 8 bits. Those of a single token have 16, as a second row of codes that stands for
    /// what the first leaves: its weights come slowly enough from memory to use each twice.
    ///
    /// # Panics
    /// When a slice is shorter than its shape demands.
    pub fn products(
        &mut self,
        pool: &Pool,
        (x, tokens): (&[f32], usize),
        outputs: &mut [Output<'_>],
    ) {
        let columns = x.len() / tokens;
        assert!(outputs.iter().all(|(matrix, _)| matrix.columns == columns), "x has other columns");
        if outputs.iter().any(|(matrix, _)| matrix.is_quantised()) {
            self.activations.rows.quantise(pool, x, tokens, columns);
            if tokens == 1 {
                self.activations.rest.refine(&self.activations.rows, &x[..columns]);
            }
        }
        let activations = &self.activations;
        // Strips of all outputs are numbered through, so that one job serves all.
        let strip = if tokens == 1 { STREAMS } else { 1 };
        let mut strips = 0;
        let products: Vec<Product<'_>> = outputs
            .iter_mut()
            .map(|(matrix, out)| {
                let first = strips;
                strips += matrix.rows.div_ceil(PANEL_ROWS * strip);
                let out = Band { values: Disjoint::new(out), rows: matrix.rows };
                Product { matrix, out, strips: first..strips }
            })
            .collect();
        let parts = pool.parts(strips, LEAST_WORK / (strip * PANEL_ROWS * columns * tokens));
        pool.run(parts, |part| {
            let range = part * strips / parts..(part + 1) * strips / parts;
            for product in &products {
                let start = range.start.max(product.strips.start);
                let end = range.end.min(product.strips.end);
                if start < end {
                    let first = product.strips.start;
                    let panels = (start - first) * strip..(end - first) * strip;
                    product.panels(panels, x, activations);
                }
            }
        });
    }
}

/// One matrix of a job.
struct Product<'a> {
    matrix: &'a Matrix,
    out: Band<'a>,
    /// Its strips, runs of panels, among those of all matrices.
    strips: Range<usize>,
}

impl Product<'_> {
    fn panels(&self, panels: Range<usize>, x: &[f32], activations: &Activated) {
        let columns = self.matrix.columns;
        let panels = panels.start..panels.end.min(self.matrix.rows.div_ceil(PANEL_ROWS));
        match &self.matrix.storage {
            Storage::Float(values) => {
                for panel in panels {
                    let length = columns * PANEL_ROWS;
                    let weights = values[panel * length..][..length].as_chunks::<PANEL_ROWS>().0;
                    float_panel(weights, x, &self.out, panel);
                }
            }
            Storage::Quantised(weights) => {
                let rows = &activations.rows;
                assert_eq!(rows.shape(), [x.len() / columns, columns]);
                if let [1, _] = rows.shape() {
                    let strips = panels.start / STREAMS..panels.end.div_ceil(STREAMS);
                    for strip in strips {
                        one_token(&weights.strip(columns, strip), activations, &self.out);
                    }
                } else {
                    for panel in panels {
                        let strip = weights.strip(columns, panel / STREAMS);
                        several_tokens(&strip, panel % STREAMS, rows, &self.out);
                    }
                }
            }
        }
    }
}

/// Where sums go: `[tokens, rows]`, each panel a band of columns.
pub(crate) struct Band<'a> {
    values: Disjoint<'a, f32>,
    rows: usize,
}

impl Band<'_> {
    #[inline(always)]
    pub(crate) fn store(&self, panel: usize, token: usize, [low, high]: RowSums) {
        let first = panel * PANEL_ROWS;
        // The last strip may have panels without rows.
        let width = PANEL_ROWS.min(self.rows.saturating_sub(first));
        if width == 0 {
            return;
        }
        // SAFETY: bands of different panels do not overlap, and each panel is one part's.
        let out = unsafe { self.values.slice(token * self.rows + first, width) };
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

#[inline(always)]
fn split_lanes(lanes: &[f32; PANEL_ROWS]) -> [f32x4; 2] {
    let [a, b, c, d, e, f, g, h] = *lanes;
    [f32x4::new([a, b, c, d]), f32x4::new([e, f, g, h])]
}

/// Tokens of one tile of the float product.
const FLOAT_TOKENS: usize = 4;

fn float_panel(weights: &[[f32; PANEL_ROWS]], x: &[f32], out: &Band<'_>, panel: usize) {
    let columns = weights.len();
    let mut tiles = x.chunks_exact(columns * FLOAT_TOKENS);
    let mut token = 0;
    for rows in &mut tiles {
        let rows = std::array::from_fn(|index| &rows[index * columns..][..columns]);
        for sums in float_tile::<FLOAT_TOKENS>(weights, rows) {
            out.store(panel, token, sums);
            token += 1;
        }
    }
    for row in tiles.remainder().chunks_exact(columns) {
        let [sums] = float_tile(weights, [row]);
        out.store(panel, token, sums);
        token += 1;
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
        let mut rounded = QuantisedRows::default();
        rounded.quantise(&Pool::serial(), x, tokens, columns);
        let mut coded = rounded.values();
        if tokens == 1 {
            let mut rest = QuantisedRows::default();
            rest.refine(&rounded, x);
            coded.iter_mut().zip(rest.values()).for_each(|(coded, rest)| *coded += rest);
            assert_close(&coded, x, 2e-5);
        }
        let x = if int8 { coded } else { x.to_vec() };
        let rows = weights.chunks_exact(columns);
        x.chunks_exact(columns)
            .flat_map(|x| rows.clone().map(move |row| (x, row)))
            .map(|(x, row)| {
                x.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            })
            .collect()
    }

    fn product(x: &[f32], tokens: usize, matrix: &Matrix, out: &mut [f32]) {
        let x = (x, tokens);
        Workspace::default().products(&Pool::serial(), x, &mut [(matrix, out)]);
    }

    #[test]
    fn every_type_agrees_with_the_plain_product() {
        for tensor_type in TensorType::ALL {
            for (tokens, rows, columns) in
                [(1, 8, 256), (3, 13, 256), (9, 16, 512), (6, 1, 768), (14, 20, 256)]
            {
                let raw = random_tensor(tensor_type, rows * columns);
                let x = random(tokens * columns, 3);
                for precision in [Precision::Int8, Precision::Float32] {
                    let matrix = Matrix::pack(
                        &Pool::serial(),
                        tensor_type,
                        &raw,
                        [rows, columns],
                        precision,
                    )
                    .unwrap();
                    let mut decoded = vec![0.0; rows * columns];
                    for (row, decoded) in decoded.chunks_exact_mut(columns).enumerate() {
                        matrix.decode_row(row, decoded);
                    }
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
                Matrix::pack(&Pool::serial(), tensor_type, &raw, [8, columns], Precision::Int8)
                    .unwrap();
            for sign in [1.0, -1.0] {
                let x = vec![127.0 * sign; columns];
                let mut out = vec![0.0; 8];
                product(&x, 1, &matrix, &mut out);
                assert_close(&out, &reference(&x, 1, &decoded, columns, true), 1e-6);
            }
        }
    }
}
