//! Q4_0: 32 four-bit codes and one scale; weight = scale * (code - 8).

use super::{Decoded, Format, half, join_nibbles};

/// 18 bytes: scale (f16), 16 bytes of nibbles (low: weights 0-15, high: 16-31).
pub(super) const FORMAT: Format = Format { group: 32, offset: 8, code_bits: 4, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    into.scales[0] = half(&block[0..2]);
    join_nibbles(&block[2..18], &mut into.codes[..32]);
}
