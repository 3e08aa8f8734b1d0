//! The dot product by one relaxed-SIMD instruction, four columns at a time.

use std::arch::wasm32::*;
use wide::{f32x4, i8x16, i16x8, i16x16, i32x4, i32x8};

/// Columns of a vector.
pub(crate) const STEP: usize = 4;

/// Panels that a product with one token reads at once.
pub(crate) const STREAMS: usize = 4;

/// An activation's code in memory.
pub(crate) type Activation = i8;
/// A block's codes, narrowed.
#[inline(always)]
pub(crate) fn activations(codes: [i32x4; 8]) -> [Activation; 32] {
    let eights: [i32x8; 4] = bytemuck::cast(codes);
    let sixteens: [i16x16; 2] = bytemuck::cast(eights.map(i16x8::from_i32x8_saturate));
    bytemuck::cast(sixteens.map(i8x16::from_i16x16_saturate))
}

/// A weight's code in an unpacked panel.
pub(crate) type Code = u8;
pub(crate) type Codes = v128;
pub(crate) type Activations = v128;
pub(crate) type Accumulator = v128;

#[inline(always)]
fn read<T, const N: usize>(values: &[T; N]) -> v128 {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: the reference covers 16 readable bytes; v128_load needs no alignment.
    unsafe { v128_load(values.as_ptr().cast()) }
}

/// Rows 0-3 and 4-7 x 4 columns of byte codes.
#[inline(always)]
pub(crate) fn load_bytes(bytes: &[u8; 32]) -> [Codes; 2] {
    let sides = bytes.as_chunks::<16>().0;
    [read(&sides[0]), read(&sides[1])]
}

/// Rows 0-3 and 4-7 x 4 columns of an unpacked panel.
#[inline(always)]
pub(crate) fn load(codes: &[Code; 32]) -> [Codes; 2] {
    load_bytes(codes)
}

#[inline(always)]
pub(crate) fn store(codes: [Codes; 2], into: &mut [Code; 32]) {
    for (codes, into) in codes.into_iter().zip(into.as_chunks_mut::<16>().0) {
        // SAFETY: the reference covers 16 writable bytes; v128_store needs no alignment.
        unsafe { v128_store(into.as_mut_ptr().cast(), codes) }
    }
}

/// The low nibble of each byte.
pub(crate) type Mask = v128;

/// Hidden from the compilers: V8 would build a constant anew at every use.
#[inline(always)]
pub(crate) fn nibble_mask() -> Mask {
    std::hint::black_box(u8x16_splat(0x0f))
}

/// 4 rows x 8 columns of nibbles.
#[inline(always)]
pub(crate) fn unpack(bytes: &[u8; 16], mask: Mask) -> [Codes; 2] {
    let bytes = read(bytes);
    // x86 has no 8-bit shift: shift 16-bit lanes and drop what came from the neighbour.
    [v128_and(bytes, mask), v128_and(u16x8_shr(bytes, 4), mask)]
}

/// Where the nibble of a column lies: which of the row's 4 bytes, and by how much it is shifted.
pub(crate) fn nibble_place(column: usize) -> (usize, u32) {
    (column % 4, 4 * (column / 4) as u32)
}

#[inline(always)]
pub(crate) fn splat(quad: &[Activation; 4]) -> Activations {
    // SAFETY: the reference covers 4 readable bytes; the load needs no alignment.
    unsafe { v128_load32_splat(quad.as_ptr().cast()) }
}

#[inline(always)]
pub(crate) fn zero() -> Accumulator {
    i32x4_splat(0)
}

/// Codes second, because x86 takes that operand as unsigned.
#[inline(always)]
pub(crate) fn dot(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
    i32x4_relaxed_dot_i8x16_i7x16_add(activations, codes, sums)
}

/// As [`dot`] for 8-bit codes: the two halves of each go in one after the other.
///
/// The larger half may be 128; pairs then reach 2 * 127 * 128, still below 2^15.
#[inline(always)]
pub(crate) fn dot_halves(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
    let larger = u8x16_avgr(codes, u8x16_splat(0));
    let smaller = u8x16_sub(codes, larger);
    dot(dot(sums, larger, activations), smaller, activations)
}

#[inline(always)]
pub(crate) fn integers(sums: Accumulator) -> [i32; 4] {
    [
        i32x4_extract_lane::<0>(sums),
        i32x4_extract_lane::<1>(sums),
        i32x4_extract_lane::<2>(sums),
        i32x4_extract_lane::<3>(sums),
    ]
}

#[inline(always)]
fn floats(vector: v128) -> f32x4 {
    f32x4::new([
        f32x4_extract_lane::<0>(vector),
        f32x4_extract_lane::<1>(vector),
        f32x4_extract_lane::<2>(vector),
        f32x4_extract_lane::<3>(vector),
    ])
}

#[inline(always)]
fn vector(floats: f32x4) -> v128 {
    let [a, b, c, d] = floats.to_array();
    f32x4(a, b, c, d)
}

#[inline(always)]
pub(crate) fn shift_and_add<const BITS: u32>(high: Accumulator, low: Accumulator) -> Accumulator {
    i32x4_add(i32x4_shl(high, BITS), low)
}

/// The sums as floats.
#[inline(always)]
pub(crate) fn finish(sums: Accumulator) -> f32x4 {
    floats(f32x4_convert_i32x4(sums))
}

/// `a * b + c`, rounded once or twice.
#[inline(always)]
pub(crate) fn multiply_add(a: f32x4, b: f32x4, c: f32x4) -> f32x4 {
    floats(f32x4_relaxed_madd(vector(a), vector(b), vector(c)))
}
