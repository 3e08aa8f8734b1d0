//! Q5_1: 32 five-bit codes, a scale and a minimum; weight = scale * code + minimum.

use super::{Decoded, Format, add_fifth_bits, half, join_nibbles};

/// 24 bytes: scale (f16), minimum (f16), 32 fifth bits, 16 bytes of nibbles.
pub(super) const FORMAT: Format = Format { group: 32, offset: 0, code_bits: 5, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    into.scales[0] = half(&block[0..2]);
    into.mins[0] = half(&block[2..4]);
    join_nibbles(&block[8..24], &mut into.codes[..32]);
    add_fifth_bits(&block[4..8], &mut into.codes[..32]);
}
