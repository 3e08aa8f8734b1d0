//! What two ways to the same numbers are compared on: tiny models, token ids, and how far apart results are.

use crate::gguf_maker::{tiny_gemma3, tiny_llama, tiny_qwen2_builder, tiny_qwen3_builder};
use frontdesk_kernels::quant::TensorType;

/// Makes a model file whose matrices are of one type.
pub type TinyModel = fn(TensorType) -> Vec<u8>;

/// One of each decoder architecture.
pub const TINY_MODELS: [(&str, TinyModel); 4] = [
    ("llama", tiny_llama),
    ("gemma3", tiny_gemma3),
    ("qwen2", |tensor_type| tiny_qwen2_builder(tensor_type).build()),
    ("qwen3", |tensor_type| tiny_qwen3_builder(tensor_type).build()),
];

/// Token ids that each tiny model has.
pub fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|index| 3 + index * 7919 % 250).collect()
}

/// Largest difference, relative to the root of the mean square of `expected`; infinite where a number is not
/// finite.
pub fn difference(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let squares: f32 = expected.iter().map(|x| x * x).sum();
    let rms = (squares / expected.len() as f32).sqrt().max(1e-6);
    let largest = actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if actual.iter().any(|x| !x.is_finite()) { f32::INFINITY } else { largest / rms }
}
