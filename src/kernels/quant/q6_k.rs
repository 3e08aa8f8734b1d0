//! Q6_K: 256 six-bit codes in 16 groups; weight = d * scale * (code - 32).

use super::{Decoded, Format, half};

/// 210 bytes: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d (f16).
pub(super) const FORMAT: Format = Format { group: 16, offset: 32, code_bits: 6, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    let d = half(&block[208..210]);
    for (scale, byte) in into.scales.iter_mut().zip(&block[192..208]) {
        *scale = d * f32::from(*byte as i8);
    }
    for part in 0..2 {
        let low = &block[64 * part..][..64];
        let high = &block[128 + 32 * part..][..32];
        let codes = &mut into.codes[128 * part..][..128];
        for column in 0..32 {
            let pairs = high[column];
            codes[column] = (low[column] & 0x0f) | ((pairs & 3) << 4);
            codes[column + 32] = (low[column + 32] & 0x0f) | (((pairs >> 2) & 3) << 4);
            codes[column + 64] = (low[column] >> 4) | (((pairs >> 4) & 3) << 4);
            codes[column + 96] = (low[column + 32] >> 4) | ((pairs >> 6) << 4);
        }
    }
}
