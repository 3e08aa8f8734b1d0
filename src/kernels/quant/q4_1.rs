//! Q4_1: 32 four-bit codes, a scale and a minimum; weight = scale * code + minimum.

use super::{Decoded, Format, half, join_nibbles};

/// 20 bytes: scale (f16), minimum (f16), 16 bytes of nibbles (low: weights 0-15, high: 16-31).
pub(super) const FORMAT: Format = Format { group: 32, offset: 0, code_bits: 4, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    into.scales[0] = half(&block[0..2]);
    into.mins[0] = half(&block[2..4]);
    join_nibbles(&block[4..20], &mut into.codes[..32]);
}
