//! Q5_K: 256 five-bit codes in 8 groups; weight = d * scale * code - d_min * minimum.

use super::{Decoded, Format, k_scales};

/// 176 bytes: d and d_min (f16), 8 pairs of 6-bit scale and minimum, 32 bytes of fifth bits, 128 bytes of nibbles.
pub(super) const FORMAT: Format = Format { group: 32, offset: 0, code_bits: 5, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    k_scales(block, into);
    let fifth_bits = &block[16..48];
    for (part, (nibbles, codes)) in block[48..176]
        .as_chunks::<32>()
        .0
        .iter()
        .zip(into.codes.as_chunks_mut::<64>().0)
        .enumerate()
    {
        for (column, (byte, bits)) in nibbles.iter().zip(fifth_bits).enumerate() {
            codes[column] = (byte & 0x0f) | (((bits >> (2 * part)) & 1) << 4);
            codes[column + 32] = (byte >> 4) | (((bits >> (2 * part + 1)) & 1) << 4);
        }
    }
}
