//! Activations as 8-bit codes: one scale for each block of 32, rounded to nearest.

use crate::ACTIVATION_BLOCK;

/// Quantised rows of activations, `[tokens, columns]`, with what the weight offsets need.
///
/// A value is `scale * code`, `scale` shared by the 32 values of a block. All buffers keep
/// their capacity between calls.
#[derive(Default)]
pub struct QuantisedRows {
    /// Number of rows.
    pub(crate) tokens: usize,
    /// Values a row; a multiple of 32.
    pub(crate) columns: usize,
    /// `[tokens, columns]`.
    pub(crate) codes: Vec<i8>,
    /// `[tokens, columns / 32]`.
    pub(crate) scales: Vec<f32>,
    /// `[tokens, columns / 16]`: sums of 16 codes.
    pub(crate) half_sums: Vec<i32>,
}

impl QuantisedRows {
    /// Quantises `values`, `[tokens, columns]`.
    ///
    /// # Panics
    /// When `columns` is not a multiple of 32 or `values` is shorter than `tokens * columns`.
    pub fn quantise(&mut self, values: &[f32], tokens: usize, columns: usize) {
        assert_eq!(
            columns % ACTIVATION_BLOCK,
            0,
            "columns must be a multiple of {ACTIVATION_BLOCK}"
        );
        self.tokens = tokens;
        self.columns = columns;
        self.codes.resize(tokens * columns, 0);
        self.scales.resize(tokens * columns / ACTIVATION_BLOCK, 0.0);
        self.half_sums.resize(tokens * columns / 16, 0);
        let (blocks, _) = values[..tokens * columns].as_chunks::<ACTIVATION_BLOCK>();
        let (codes, _) = self.codes.as_chunks_mut::<ACTIVATION_BLOCK>();
        let (sums, _) = self.half_sums.as_chunks_mut::<2>();
        for (((block, codes), scale), sums) in
            blocks.iter().zip(codes).zip(&mut self.scales).zip(sums)
        {
            *scale = quantise_block(block, codes);
            let (halves, _) = codes.as_chunks::<16>();
            for (sum, half) in sums.iter_mut().zip(halves) {
                *sum = half.iter().map(|&code| i32::from(code)).sum();
            }
        }
    }
}

/// Adding and subtracting this rounds a small float to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

#[inline]
fn quantise_block(block: &[f32; ACTIVATION_BLOCK], codes: &mut [i8; ACTIVATION_BLOCK]) -> f32 {
    let mut lanes = [0.0f32; 4];
    // Stays zero unless a value is not finite; the codes of such a block would look like numbers.
    let mut poison = [0.0f32; 4];
    for quad in block.as_chunks::<4>().0 {
        for ((lane, poison), value) in lanes.iter_mut().zip(&mut poison).zip(quad) {
            let magnitude = value.abs();
            *lane = if magnitude > *lane { magnitude } else { *lane };
            *poison += value * 0.0;
        }
    }
    let largest = lanes.iter().fold(0.0f32, |a, &b| a.max(b));
    let scale = largest / 127.0;
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (code, value) in codes.iter_mut().zip(block) {
        let rounded = (value * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
        *code = rounded as i8;
    }
    scale + poison.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::random;
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn codes_are_the_nearest_and_sums_add_up() {
        for (tokens, columns) in [(1, 32), (3, 64), (5, 576)] {
            let values = random(tokens * columns, 7);
            let mut rows = QuantisedRows::default();
            rows.quantise(&values, tokens, columns);
            for (index, value) in values.iter().enumerate() {
                let scale = rows.scales[index / 32];
                let error = (value - scale * f32::from(rows.codes[index])).abs();
                assert!(error <= scale * 0.501, "value {value}, scale {scale}, error {error}");
            }
            for (index, sum) in rows.half_sums.iter().enumerate() {
                let expected: i32 =
                    rows.codes[index * 16..][..16].iter().map(|&code| i32::from(code)).sum();
                assert_eq!(*sum, expected);
            }
        }
    }

    #[test]
    fn what_is_not_finite_poisons_its_block_alone() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [1.0; 64];
            values[37] = bad;
            let mut rows = QuantisedRows::default();
            rows.quantise(&values, 1, 64);
            assert!(rows.scales[0].is_finite() && rows.scales[1].is_nan());
        }
    }

    #[test]
    fn zeros_stay_zero() {
        let mut rows = QuantisedRows::default();
        rows.quantise(&[0.0; 32], 1, 32);
        assert_eq!((rows.scales[0], rows.codes[0]), (0.0, 0));
    }
}
