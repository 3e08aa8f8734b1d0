//! The integer dot product of four rows by four columns, in the best form the target offers.
//!
//! Each form has the same interface, so that `matmul.rs` is written once: `Codes` are 16
//! unsigned weight codes (4 rows x 4 consecutive columns, rows outermost), `Activations` are
//! 4 signed activations repeated for each row, and an `Accumulator` becomes four `i32`, one a row.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod generic;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use generic::*;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm32::*;
