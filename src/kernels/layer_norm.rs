//! Layer normalisation: `x = (x - mean) / sqrt(variance + epsilon) * weight + bias`, row by row.
//!
//! Source: Ba, Kiros and Hinton, Layer Normalization, 2016.

use wide::f32x4;

/// Overwrites each row of `x`, `[rows, weight.len()]`, by its result.
pub fn layer_norm_in_place(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let length = weight.len() as f32;
    for x in x.chunks_exact_mut(weight.len()) {
        let mean = sum(x, |x| x) / length;
        let variance = sum(x, |x| (x - f32x4::splat(mean)) * (x - f32x4::splat(mean))) / length;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

/// Sum of `of(x)` over the elements.
#[inline(always)]
fn sum(x: &[f32], of: impl Fn(f32x4) -> f32x4) -> f32 {
    let (quads, rest) = x.as_chunks::<4>();
    let lanes = quads.iter().fold(f32x4::ZERO, |sums, quad| sums + of(f32x4::new(*quad)));
    let rest = rest.iter().map(|x| of(f32x4::splat(*x)).to_array()[0]);
    lanes.reduce_add() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
        let length = weight.len() as f64;
        let row = |row: &[f32]| -> Vec<f32> {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / length;
            let squares = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>();
            let scale = 1.0 / (squares / length + f64::from(epsilon)).sqrt();
            let normed = row.iter().map(|x| (f64::from(*x) - mean) * scale);
            let scaled = normed.zip(weight).zip(bias);
            scaled.map(|((x, w), b)| (x * f64::from(*w) + f64::from(*b)) as f32).collect()
        };
        x.chunks_exact(weight.len()).flat_map(row).collect()
    }

    #[test]
    fn agrees_with_the_reference_at_odd_shapes() {
        for (rows, columns) in [(1, 1), (2, 3), (3, 4), (2, 31), (5, 384)] {
            let x: Vec<f32> = random(rows * columns, 1).iter().map(|x| x * 3.0 + 1.0).collect();
            let (weight, bias) = (random(columns, 2), random(columns, 3));
            let mut actual = x.clone();
            layer_norm_in_place(&mut actual, &weight, &bias, 1e-5);
            assert_close(&actual, &reference(&x, &weight, &bias, 1e-5), 1e-4);
        }
    }
}
