//! Root-mean-square normalisation: `out = x / sqrt(mean(x^2) + epsilon) * weight`, row by row.
//!
//! Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

use wide::f32x4;

/// Normalises each row of `x`, `[rows, weight.len()]`, into `out` of the same shape.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let rows = x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len()));
    for (x, out) in rows {
        let scale = inverse_rms(x, epsilon);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// As [`rms_norm`], each row overwritten by its result.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    for x in x.chunks_exact_mut(weight.len()) {
        let scale = inverse_rms(x, epsilon);
        for (x, weight) in x.iter_mut().zip(weight) {
            *x *= scale * weight;
        }
    }
}

fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    let (quads, rest) = x.as_chunks::<4>();
    let lanes = quads.iter().fold(f32x4::ZERO, |sums, quad| {
        let quad = f32x4::new(*quad);
        sums + quad * quad
    });
    let sum = lanes.reduce_add() + rest.iter().map(|x| x * x).sum::<f32>();
    1.0 / (sum / x.len() as f32 + epsilon).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
        x.chunks_exact(weight.len())
            .flat_map(|row| {
                let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
                let rms = (squares / row.len() as f64 + f64::from(epsilon)).sqrt();
                row.iter().zip(weight).map(move |(x, w)| (f64::from(*x) / rms) as f32 * w)
            })
            .collect()
    }

    #[test]
    fn agrees_with_the_reference_at_odd_lengths() {
        for (rows, columns) in [(1, 1), (2, 3), (3, 64), (5, 577)] {
            let (mut x, weight) = (random(rows * columns, 1), random(columns, 2));
            let expected = reference(&x, &weight, 1e-5);
            let mut out = vec![0.0; x.len()];
            rms_norm(&x, &weight, 1e-5, &mut out);
            assert_close(&out, &expected, 1e-5);
            rms_norm_in_place(&mut x, &weight, 1e-5);
            assert_close(&x, &expected, 1e-5);
        }
    }
}
