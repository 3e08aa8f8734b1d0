//! Q8_0: 32 signed bytes and one scale, kept here as unsigned codes; weight = scale * (code - 128).

use super::{Decoded, Format, half};

/// 34 bytes: scale (f16), 32 signed bytes.
pub(super) const FORMAT: Format = Format { group: 32, offset: 128, code_bits: 8, decode };

fn decode(block: &[u8], into: &mut Decoded) {
    into.scales[0] = half(&block[0..2]);
    for (code, byte) in into.codes[..32].iter_mut().zip(&block[2..34]) {
        *code = byte ^ 0x80;
    }
}
