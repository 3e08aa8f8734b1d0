//! Gated activations: `gate = f(gate) * up`, with SiLU or the tanh form of GELU.
//!
//! Source: Shazeer, GLU Variants Improve Transformer, 2020; Hendrycks and Gimpel, GELU, 2016.

use crate::exp::exp;
use wide::f32x4;

/// The function of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
}

impl Activation {
    /// Both functions are `x * sigmoid(g(x))`, since `(1 + tanh(y)) / 2 = sigmoid(2 y)`.
    #[inline(always)]
    fn apply(self, x: f32x4) -> f32x4 {
        let argument = match self {
            Activation::Silu => x,
            Activation::GeluTanh => {
                let cubic = x * x * x * f32x4::splat(0.044_715);
                (x + cubic) * f32x4::splat(1.595_769)
            }
        };
        x / (f32x4::ONE + exp(-argument))
    }
}

/// Overwrites `gate` with `activation(gate) * up`; both of any one length.
pub fn gate(activation: Activation, gate: &mut [f32], up: &[f32]) {
    let (quads, rest) = gate.as_chunks_mut::<4>();
    let (up_quads, up_rest) = up.as_chunks::<4>();
    for (gate, up) in quads.iter_mut().zip(up_quads) {
        *gate = (activation.apply(f32x4::new(*gate)) * f32x4::new(*up)).to_array();
    }
    for (gate, up) in rest.iter_mut().zip(up_rest) {
        *gate = activation.apply(f32x4::splat(*gate)).to_array()[0] * up;
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
        };
        value as f32
    }

    #[test]
    fn agrees_with_the_reference_at_odd_lengths() {
        for activation in [Activation::Silu, Activation::GeluTanh] {
            for length in [1, 3, 4, 9, 130] {
                let mut x: Vec<f32> = random(length, 8).iter().map(|x| x * 12.0).collect();
                let up = random(length, 9);
                let expected: Vec<f32> =
                    x.iter().zip(&up).map(|(x, up)| reference(activation, *x) * up).collect();
                gate(activation, &mut x, &up);
                assert_close(&x, &expected, 1e-5);
            }
        }
    }
}
