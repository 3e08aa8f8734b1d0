//! The exponential on four lanes, accurate to about two units in the last place.

use wide::{f32x4, i32x4};

/// Adding and subtracting this rounds a small float to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// `e^x`; below -87 the result is the smallest it can be (about 1e-38), above 88 the largest.
///
/// Range reduction to |r| <= ln(2)/2 and a polynomial of degree 6 (Cephes' coefficients).
#[inline(always)]
pub fn exp(x: f32x4) -> f32x4 {
    let x = x.fast_max(f32x4::splat(-87.0)).fast_min(f32x4::splat(88.0));
    let rounded = x * f32x4::splat(std::f32::consts::LOG2_E) + f32x4::splat(ROUND);
    let power = rounded - f32x4::splat(ROUND);
    let r = x - power * f32x4::splat(0.693_359_4) + power * f32x4::splat(2.121_944_4e-4);
    let mut sum = f32x4::splat(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = sum * r + f32x4::splat(coefficient);
    }
    let value = sum * r * r + r + f32x4::ONE;
    // The low bits of `rounded` hold the integer; moved to the exponent they scale by 2^power.
    from_bits((bits(rounded) << 23) + bits(value))
}

#[inline(always)]
fn bits(x: f32x4) -> i32x4 {
    i32x4::new(x.to_array().map(|lane| lane.to_bits() as i32))
}

#[inline(always)]
fn from_bits(x: i32x4) -> f32x4 {
    f32x4::new(x.to_array().map(|lane| f32::from_bits(lane as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn agrees_with_the_standard_library() {
        for step in 0..17_500 {
            let x = -87.0 + step as f32 * 0.01;
            let expected = x.exp();
            let actual = exp(f32x4::splat(x)).to_array()[2];
            assert!((actual - expected).abs() <= 3e-7 * expected, "{x}: {actual}, {expected}");
        }
        assert!(exp(f32x4::splat(f32::NEG_INFINITY)).to_array()[0] < 1e-37);
        assert!(exp(f32x4::splat(1e9)).to_array()[0].is_finite());
    }
}
