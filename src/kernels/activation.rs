//! Activations, plain (`x = f(x)`) and gated (`gate = f(gate) * up`), with SiLU or a form of GELU.
//!
//! Sources: Shazeer, GLU Variants Improve Transformer, 2020; Hendrycks and Gimpel, GELU, 2016;
//! Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.

use crate::arch::multiply_add;
use crate::exp::Exp;
use wide::f32x4;

/// The function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    GeluErf,
}

impl Activation {
    /// Two of the functions are `x * sigmoid(g(x))`, since `(1 + tanh(y)) / 2 = sigmoid(2 y)`.
    #[inline(always)]
    fn apply(self, exp: &Exp, x: f32x4) -> f32x4 {
        let argument = match self {
            Activation::Silu => x,
            Activation::GeluTanh => {
                let cubic = x * x * x * f32x4::splat(0.044_715);
                (x + cubic) * f32x4::splat(1.595_769)
            }
            Activation::GeluErf => return gelu_erf(exp, x),
        };
        x / (f32x4::ONE + exp.of(-argument))
    }
}

/// `max(x, 0) - |x| * tail`, where `tail` is the normal distribution's beyond `|x|`: a polynomial
/// times `e^(-x^2 / 2)`, wrong by 8e-8 at the most.
#[inline(always)]
fn gelu_erf(exp: &Exp, x: f32x4) -> f32x4 {
    let size = x.fast_max(-x);
    // 0.3275911 / sqrt(2)
    let t = f32x4::ONE / (f32x4::ONE + size * f32x4::splat(0.231_641_89));
    let mut sum = f32x4::splat(0.530_702_7);
    for coefficient in [-0.726_576, 0.710_706_9, -0.142_248_37, 0.127_414_8] {
        sum = multiply_add(sum, t, f32x4::splat(coefficient));
    }
    let tail = sum * t * exp.of(x * x * f32x4::splat(-0.5));
    x.fast_max(f32x4::ZERO) - size * tail
}

/// Overwrites each element of `x` with `activation(x)`.
pub fn activate(activation: Activation, x: &mut [f32]) {
    let exp = Exp::new();
    let (quads, rest) = x.as_chunks_mut::<4>();
    for quad in quads {
        *quad = activation.apply(&exp, f32x4::new(*quad)).to_array();
    }
    for x in rest {
        *x = activation.apply(&exp, f32x4::splat(*x)).to_array()[0];
    }
}

/// Overwrites `gate` with `activation(gate) * up`; both of any one length.
pub fn gate(activation: Activation, gate: &mut [f32], up: &[f32]) {
    let exp = Exp::new();
    let (quads, rest) = gate.as_chunks_mut::<4>();
    let (up_quads, up_rest) = up.as_chunks::<4>();
    for (gate, up) in quads.iter_mut().zip(up_quads) {
        *gate = (activation.apply(&exp, f32x4::new(*gate)) * f32x4::new(*up)).to_array();
    }
    for (gate, up) in rest.iter_mut().zip(up_rest) {
        *gate = activation.apply(&exp, f32x4::splat(*gate)).to_array()[0] * up;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(activation: Activation, x: f32) -> f32 {
        let x = f64::from(x);
        let value = match activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Activation::GeluErf => {
                // Composite Simpson's rule for the density from 0 to x.
                let (steps, density) = (2000, |t: f64| (-t * t / 2.0).exp());
                let step = x / f64::from(steps);
                let weight =
                    |i: i32| if i == 0 || i == steps { 1.0 } else { 2.0 + f64::from(i % 2) * 2.0 };
                let sum: f64 = (0..=steps).map(|i| weight(i) * density(f64::from(i) * step)).sum();
                x * (0.5 + sum * step / 3.0 / (2.0 * std::f64::consts::PI).sqrt())
            }
        };
        value as f32
    }

    #[test]
    fn agrees_with_the_reference_at_odd_lengths() {
        for activation in [Activation::Silu, Activation::GeluTanh, Activation::GeluErf] {
            for length in [1, 3, 4, 9, 130] {
                let mut x: Vec<f32> = random(length, 8).iter().map(|x| x * 12.0).collect();
                let up = random(length, 9);
                let expected: Vec<f32> =
                    x.iter().zip(&up).map(|(x, up)| reference(activation, *x) * up).collect();
                let plain: Vec<f32> = x.iter().map(|x| reference(activation, *x)).collect();
                let mut activated = x.clone();
                activate(activation, &mut activated);
                assert_close(&activated, &plain, 1e-5);
                gate(activation, &mut x, &up);
                assert_close(&x, &expected, 1e-5);
            }
        }
    }
}
