//! Softmax in place: `x_i = e^(x_i - max) / sum`.

use crate::exp::Exp;
use wide::f32x4;

/// Turns scores into probabilities; an empty slice stays empty.
pub fn softmax(scores: &mut [f32]) {
    let largest = maximum(scores);
    let (quads, rest) = scores.as_chunks_mut::<4>();
    let exp = Exp::new();
    let mut sums = f32x4::ZERO;
    // Stays zero unless a score is not finite: the maximum of some targets loses such numbers.
    let mut poison = f32x4::ZERO;
    for quad in quads.iter_mut() {
        let scores = f32x4::new(*quad);
        poison += scores * f32x4::ZERO;
        let values = exp.of(scores - f32x4::splat(largest));
        *quad = values.to_array();
        sums += values;
    }
    let mut sum = (sums + poison).reduce_add();
    for value in rest.iter_mut() {
        sum += *value * 0.0;
        *value = exp.of(f32x4::splat(*value - largest)).to_array()[0];
        sum += *value;
    }
    let inverse = 1.0 / sum;
    for value in scores {
        *value *= inverse;
    }
}

fn maximum(values: &[f32]) -> f32 {
    let (quads, rest) = values.as_chunks::<4>();
    let lanes =
        quads.iter().fold(f32x4::splat(f32::MIN), |lanes, quad| lanes.fast_max(f32x4::new(*quad)));
    lanes.to_array().iter().chain(rest).fold(f32::MIN, |a, &b| a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(scores: &[f32]) -> Vec<f32> {
        let largest = scores.iter().fold(f32::MIN, |a, &b| a.max(b));
        let powers: Vec<f32> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f32 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    #[test]
    fn agrees_with_the_reference_at_odd_lengths() {
        for length in [1, 2, 3, 4, 5, 7, 31, 257] {
            let scores: Vec<f32> = random(length, 5).iter().map(|x| x * 20.0).collect();
            let mut actual = scores.clone();
            softmax(&mut actual);
            assert_close(&actual, &reference(&scores), 1e-6);
        }
        softmax(&mut []);
    }

    #[test]
    fn what_is_not_finite_shows() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 6] {
                let mut scores = [1.0; 7];
                scores[place] = bad;
                softmax(&mut scores);
                assert!(scores.iter().all(|score| score.is_nan()), "{bad} at {place}");
            }
        }
    }
}
