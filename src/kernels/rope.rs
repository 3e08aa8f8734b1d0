//! Rotary position embedding, half-split form: element `i` turns with element `i + dim / 2`.
//!
//! Source: Su et al., RoFormer, 2021. Models that pair neighbours instead (llama's GGUF files)
//! have the rows of their query and key weights reordered at load, so one form serves all.

use crate::try_zeros;
use std::collections::TryReserveError;

/// Cosines and sines for every position up to a capacity.
pub struct RopeTable {
    half: usize,
    /// `[positions, half]`.
    cosines: Vec<f32>,
    /// `[positions, half]`.
    sines: Vec<f32>,
}

/// How fast pair `pair` of a head of `dimensions` turns with the position: `base^(-2 pair / dimensions)`.
pub fn frequency(pair: usize, dimensions: usize, base: f32) -> f64 {
    f64::from(base).powf(-2.0 * pair as f64 / dimensions as f64)
}

impl RopeTable {
    /// Angles `position * base^(-2 i / dimensions)`, `i < dimensions / 2`; positions are divided
    /// by `scale` (linear scaling; 1 for none).
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn new(
        positions: usize,
        dimensions: usize,
        base: f32,
        scale: f32,
    ) -> Result<Self, TryReserveError> {
        let half = dimensions / 2;
        let length = positions.saturating_mul(half);
        let (mut cosines, mut sines) = (try_zeros(length)?, try_zeros(length)?);
        for (index, (cosine, sine)) in cosines.iter_mut().zip(&mut sines).enumerate() {
            let (position, pair) = (index / half, index % half);
            let angle = position as f64 / f64::from(scale) * frequency(pair, dimensions, base);
            (*cosine, *sine) = (angle.cos() as f32, angle.sin() as f32);
        }
        Ok(Self { half, cosines, sines })
    }

    /// Rotates `x`, `[tokens, heads, 2 * half]`, whose first token is at `position`.
    pub fn apply(&self, x: &mut [f32], heads: usize, position: usize) {
        let half = self.half;
        for (token, x) in x.chunks_exact_mut(heads * 2 * half).enumerate() {
            let angle = (position + token) * half;
            let (cosines, sines) =
                (&self.cosines[angle..angle + half], &self.sines[angle..angle + half]);
            for head in x.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines)
                {
                    let (x, y) = (*a, *b);
                    *a = x * cosine - y * sine;
                    *b = x * sine + y * cosine;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(x: &mut [f32], heads: usize, dimensions: usize, position: usize, base: f32) {
        for (row, head) in x.chunks_exact_mut(dimensions).enumerate() {
            let position = (position + row / heads) as f64;
            for i in 0..dimensions / 2 {
                let angle = position * f64::from(base).powf(-2.0 * i as f64 / dimensions as f64);
                let (a, b) = (f64::from(head[i]), f64::from(head[i + dimensions / 2]));
                head[i] = (a * angle.cos() - b * angle.sin()) as f32;
                head[i + dimensions / 2] = (a * angle.sin() + b * angle.cos()) as f32;
            }
        }
    }

    #[test]
    fn agrees_with_the_reference_at_odd_shapes() {
        for (tokens, heads, dimensions) in [(1, 1, 2), (3, 2, 6), (5, 3, 64)] {
            let mut x = random(tokens * heads * dimensions, 4);
            let mut expected = x.clone();
            reference(&mut expected, heads, dimensions, 9, 10_000.0);
            let table = RopeTable::new(16, dimensions, 10_000.0, 1.0).unwrap();
            table.apply(&mut x, heads, 9);
            assert_close(&x, &expected, 1e-5);
        }
    }
}
