//! Q4_K: 256 four-bit codes in 8 groups; weight = d * scale * code - d_min * minimum.

use super::{Decoded, Format, k_scales};

/// 144 bytes: d and d_min (f16), 8 pairs of 6-bit scale and minimum, 128 bytes of nibbles.
pub(super) const FORMAT: Format = Format { group: 32, offset: 0, code_bits: 4, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    k_scales(block, into);
    for (nibbles, codes) in
        block[16..144].as_chunks::<32>().0.iter().zip(into.codes.as_chunks_mut::<64>().0)
    {
        for (column, byte) in nibbles.iter().enumerate() {
            codes[column] = byte & 0x0f;
            codes[column + 32] = byte >> 4;
        }
    }
}
