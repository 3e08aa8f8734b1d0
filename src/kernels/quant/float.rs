//! F32, F16 and BF16: plain little-endian numbers.

use super::TensorType;
use half::{bf16, f16};

/// Widens `raw` to single precision; types other than the three floats leave `out` untouched.
pub(crate) fn decode_float(tensor_type: TensorType, raw: &[u8], out: &mut [f32]) {
    match tensor_type {
        TensorType::F32 => {
            for (value, bytes) in out.iter_mut().zip(raw.as_chunks::<4>().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        TensorType::F16 => {
            for (value, bytes) in out.iter_mut().zip(raw.as_chunks::<2>().0) {
                *value = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        TensorType::BF16 => {
            for (value, bytes) in out.iter_mut().zip(raw.as_chunks::<2>().0) {
                *value = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => {}
    }
}
