//! Arithmetic kernels on slices: quantised matrix products, attention, norms and activations.
//!
//! Every kernel file holds a fast version, written on four or eight lanes (SSE2, NEON or
//! `simd128`, with relaxed-SIMD dot products where the module is built for them), and a plain
//! scalar `reference` that the tests compare it with. Shapes are written row-major,
//! outermost first: `[tokens, columns]`.

use std::collections::TryReserveError;

mod arch;
mod halves;
mod one_token;
mod several_tokens;

pub mod activation;
pub mod attention;
mod exp;
pub mod layer_norm;
pub mod matmul;
pub mod matrix;
pub mod pool;
pub mod pooling;
pub mod quant;
pub mod quantise;
pub mod rms_norm;
pub mod rope;
pub mod softmax;

#[cfg(test)]
mod test_data;

pub use arch::dot_is_exact;

/// Output rows of one weight panel: the lanes of two 4-lane vectors.
pub const PANEL_ROWS: usize = 8;

/// Activations that share one scale.
pub const ACTIVATION_BLOCK: usize = 32;

/// `length` zeros, or an error where memory does not suffice.
pub(crate) fn try_zeros<T: Clone + Default>(length: usize) -> Result<Vec<T>, TryReserveError> {
    let mut values = Vec::new();
    values.try_reserve_exact(length)?;
    values.resize(length, T::default());
    Ok(values)
}
