//! Q5_0: 32 five-bit codes and one scale; weight = scale * (code - 16).

use super::{Decoded, Format, add_fifth_bits, half, join_nibbles};

/// 22 bytes: scale (f16), 32 fifth bits, 16 bytes of nibbles.
pub(super) const FORMAT: Format = Format { group: 32, offset: 16, code_bits: 5, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    into.scales[0] = half(&block[0..2]);
    join_nibbles(&block[6..22], &mut into.codes[..32]);
    add_fifth_bits(&block[2..6], &mut into.codes[..32]);
}
