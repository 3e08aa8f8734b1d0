//! The dot product for targets without a form of their own: 16-bit pairs through `wide`.

use wide::{i16x8, i32x4};

/// Largest code width whose products are exact.
pub(crate) const CODE_BITS: u32 = 8;
/// Tokens of one tile: how often a loaded weight vector is used.
pub(crate) const TILE_TOKENS: usize = 4;

/// 4 rows x 4 columns of codes.
pub(crate) type Codes = [u8; 16];
/// 4 activations, repeated for two rows.
pub(crate) type Activations = i16x8;

/// Sums of column pairs: rows 0 and 1, then rows 2 and 3.
#[derive(Clone, Copy)]
pub(crate) struct Accumulator(i32x4, i32x4);

#[inline(always)]
pub(crate) fn load_codes(bytes: &[u8; 16]) -> Codes {
    *bytes
}

#[inline(always)]
pub(crate) fn low_nibbles(codes: Codes) -> Codes {
    codes.map(|code| code & 0x0f)
}

#[inline(always)]
pub(crate) fn high_nibbles(codes: Codes) -> Codes {
    codes.map(|code| code >> 4)
}

#[inline(always)]
pub(crate) fn store_codes(codes: Codes, into: &mut [u8; 16]) {
    *into = codes;
}

#[inline(always)]
pub(crate) fn splat_activations(quad: &[i8; 4]) -> Activations {
    let [a, b, c, d] = quad.map(i16::from);
    i16x8::new([a, b, c, d, a, b, c, d])
}

#[inline(always)]
pub(crate) fn zero() -> Accumulator {
    Accumulator(i32x4::ZERO, i32x4::ZERO)
}

#[inline(always)]
pub(crate) fn dot(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
    let codes = codes.map(i16::from);
    let low = i16x8::new([
        codes[0], codes[1], codes[2], codes[3], codes[4], codes[5], codes[6], codes[7],
    ]);
    let high = i16x8::new([
        codes[8], codes[9], codes[10], codes[11], codes[12], codes[13], codes[14], codes[15],
    ]);
    Accumulator(sums.0 + low.dot(activations), sums.1 + high.dot(activations))
}

#[inline(always)]
pub(crate) fn finish(sums: Accumulator) -> i32x4 {
    let ([a, b, c, d], [e, f, g, h]) = (sums.0.to_array(), sums.1.to_array());
    i32x4::new([a, c, e, g]) + i32x4::new([b, d, f, h])
}
