//! The dot product by 16-bit pairs, two columns at a time: SSE2, NEON and WebAssembly's `simd128`.

use wide::{f32x4, i16x8, i32x4, i32x8, u16x8};

/// Columns of a vector.
pub(crate) const STEP: usize = 2;

/// Panels that a product with one token reads at once; the sums of more do not stay in registers.
pub(crate) const STREAMS: usize = 2;

/// An activation's code in memory, widened once for all rows.
pub(crate) type Activation = i16;
/// A block's codes, narrowed.
#[inline(always)]
pub(crate) fn activations(codes: [i32x4; 8]) -> [Activation; 32] {
    let eights: [i32x8; 4] = bytemuck::cast(codes);
    bytemuck::cast(eights.map(i16x8::from_i32x8_saturate))
}

/// A weight's code in an unpacked panel.
pub(crate) type Code = i16;
pub(crate) type Codes = i16x8;
pub(crate) type Activations = i16x8;
pub(crate) type Accumulator = i32x4;

/// Rows 0-3 and 4-7 x 2 columns of byte codes.
#[inline(always)]
pub(crate) fn load_bytes(bytes: &[u8; 16]) -> [Codes; 2] {
    let bytes = bytemuck::cast(*bytes);
    [i16x8::from_u8x16_low(bytes), i16x8::from_u8x16_high(bytes)]
}

/// Rows 0-3 and 4-7 x 2 columns of an unpacked panel.
#[inline(always)]
pub(crate) fn load(codes: &[Code; 16]) -> [Codes; 2] {
    bytemuck::cast(*codes)
}

#[inline(always)]
pub(crate) fn store(codes: [Codes; 2], into: &mut [Code; 16]) {
    *into = bytemuck::cast(codes);
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
    const { assert!(cfg!(target_endian = "little")) };
    let lanes: u16x8 = bytemuck::cast(*bytes);
    let [a, b, c] = [lanes & mask, (lanes >> 4) & mask, (lanes >> 8) & mask];
    [a, b, c, lanes >> 12].map(bytemuck::cast)
}

/// Where the nibble of a column lies: which of the row's 4 bytes, and by how much it is shifted.
pub(crate) fn nibble_place(column: usize) -> (usize, u32) {
    let (lane, nibble) = (column % 2, column / 2);
    (2 * lane + nibble / 2, 4 * (nibble % 2) as u32)
}

#[inline(always)]
pub(crate) fn splat(pair: &[Activation; 2]) -> Activations {
    // One 32-bit lane a pair: built lane by lane it is five instructions instead of one.
    bytemuck::cast(i32x4::splat(bytemuck::cast(*pair)))
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

#[inline(always)]
pub(crate) fn shift_and_add<const BITS: u32>(high: Accumulator, low: Accumulator) -> Accumulator {
    (high << BITS) + low
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
