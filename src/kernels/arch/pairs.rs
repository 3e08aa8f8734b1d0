//! The dot product by 16-bit pairs, two columns at a time: SSE2, NEON and WebAssembly's `simd128`.

use wide::{f32x4, i16x8, i32x4, u16x8};

/// Columns of a vector.
pub(crate) const STEP: usize = 2;

/// An activation's code in memory, widened once for all rows.
pub(crate) type Activation = i16;
/// A weight's code in an unpacked panel.
pub(crate) type Code = i16;
pub(crate) type Codes = i16x8;
pub(crate) type Activations = i16x8;
pub(crate) type Accumulator = i32x4;

/// 4 rows x 2 columns of byte codes.
#[inline(always)]
pub(crate) fn load_bytes(bytes: &[u8; 8]) -> Codes {
    i16x8::new(bytes.map(i16::from))
}

/// 4 rows x 2 columns of an unpacked panel.
#[inline(always)]
pub(crate) fn load(codes: &[Code; 8]) -> Codes {
    i16x8::new(*codes)
}

#[inline(always)]
pub(crate) fn store(codes: Codes, into: &mut [Code; 8]) {
    *into = codes.to_array();
}

/// The lowest nibble of each lane.
pub(crate) type Mask = u16x8;

/// Hidden from the compilers: V8 would build a constant anew at every use.
#[inline(always)]
pub(crate) fn nibble_mask() -> Mask {
    std::hint::black_box(u16x8::splat(0x0f))
}

/// 4 rows x 8 columns of nibbles: each 16-bit lane holds one nibble of each vector.
#[inline(always)]
pub(crate) fn unpack(bytes: &[u8; 16], mask: Mask) -> [Codes; 4] {
    let lanes: [u16; 8] =
        std::array::from_fn(|lane| u16::from_le_bytes([bytes[2 * lane], bytes[2 * lane + 1]]));
    let lanes = u16x8::new(lanes);
    let [a, b, c] = [lanes & mask, (lanes >> 4) & mask, (lanes >> 8) & mask];
    [a, b, c, lanes >> 12].map(|codes| i16x8::new(codes.to_array().map(|code| code as i16)))
}

/// Where the nibble of a column lies: which of the row's 4 bytes, and by how much it is shifted.
pub(crate) fn nibble_place(column: usize) -> (usize, u32) {
    let (lane, nibble) = (column % 2, column / 2);
    (2 * lane + nibble / 2, 4 * (nibble % 2) as u32)
}

#[inline(always)]
pub(crate) fn splat(&[a, b]: &[Activation; 2]) -> Activations {
    i16x8::new([a, b, a, b, a, b, a, b])
}

#[inline(always)]
pub(crate) fn zero() -> Accumulator {
    i32x4::ZERO
}

#[inline(always)]
pub(crate) fn dot(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
    sums + codes.dot(activations)
}

/// As [`dot`]: pairs of 8-bit codes are exact in one go.
#[inline(always)]
pub(crate) fn dot_halves(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
    dot(sums, codes, activations)
}

#[inline(always)]
pub(crate) fn integers(sums: Accumulator) -> [i32; 4] {
    sums.to_array()
}

/// Four numbers, little-endian.
#[inline(always)]
pub(crate) fn load_floats(bytes: &[u8; 16]) -> f32x4 {
    let [a, b, c, d] = [0, 4, 8, 12]
        .map(|at| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    f32x4::new([a, b, c, d])
}

/// The sums as floats.
#[inline(always)]
pub(crate) fn finish(sums: Accumulator) -> f32x4 {
    f32x4::from_i32x4(sums)
}

/// `a * b + c`, rounded once or twice.
#[inline(always)]
pub(crate) fn multiply_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
    a * b + c
}
