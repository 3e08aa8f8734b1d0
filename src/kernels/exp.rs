//! The exponential on four lanes, accurate to about two units in the last place.

use crate::arch::multiply_add;
use wide::{f32x4, i32x4};

/// Adding and subtracting this rounds a small float to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// `e^x`; below -87 the result is the smallest it can be (about 1e-38), above 88 the largest.
///
/// Range reduction to |r| <= ln(2)/2 and a polynomial of degree 6 (Cephes' coefficients). The constants are
/// hidden from the compilers: V8 would build each anew at every use.
#[derive(Clone, Copy)]
pub(crate) struct Exp {
    range: [f32x4; 2],
    log2_e: f32x4,
    round: f32x4,
    /// Their sum is the negative of ln(2).
    minus_ln_2: [f32x4; 2],
    /// Coefficients, those of the highest powers first.
    pairs: [[f32x4; 2]; 3],
    one: f32x4,
}

impl Exp {
    /// To be made before a loop.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        std::hint::black_box(Self {
            range: [-87.0, 88.0].map(f32x4::splat),
            log2_e: f32x4::splat(std::f32::consts::LOG2_E),
            round: f32x4::splat(ROUND),
            minus_ln_2: [-0.693_359_4, 2.121_944_4e-4].map(f32x4::splat),
            pairs: [
                [1.987_569_1e-4, 1.398_199_9e-3],
                [8.333_452e-3, 4.166_579_6e-2],
                [0.166_666_65, 0.5],
            ]
            .map(|pair| pair.map(f32x4::splat)),
            one: f32x4::ONE,
        })
    }

    /// `e^x`.
    #[inline(always)]
    pub(crate) fn of(&self, x: f32x4) -> f32x4 {
        let x = x.fast_max(self.range[0]).fast_min(self.range[1]);
        let rounded = multiply_add(x, self.log2_e, self.round);
        let power = rounded - self.round;
        let r = multiply_add(power, self.minus_ln_2[0], x);
        let r = multiply_add(power, self.minus_ln_2[1], r);
        // Pairs of terms at a time (Estrin's scheme): a short chain lets several exponentials overlap.
        let square = r * r;
        let [first, second, third] = self.pairs.map(|[a, b]| multiply_add(a, r, b));
        let sum = multiply_add(multiply_add(first, square, second), square, third);
        let value = multiply_add(sum, square, r) + self.one;
        // The low bits of `rounded` hold the integer; moved to the exponent they scale by 2^power.
        from_bits((bits(rounded) << 23) + bits(value))
    }
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
            let actual = Exp::new().of(f32x4::splat(x)).to_array()[2];
            assert!((actual - expected).abs() <= 3e-7 * expected, "{x}: {actual}, {expected}");
        }
        assert!(Exp::new().of(f32x4::splat(f32::NEG_INFINITY)).to_array()[0] < 1e-37);
        assert!(Exp::new().of(f32x4::splat(1e9)).to_array()[0].is_finite());
    }
}
