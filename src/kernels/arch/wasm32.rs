//! The dot product on `simd128`, one instruction where relaxed SIMD is available.

use std::arch::wasm32::*;
use wide::i32x4;

/// Largest code width whose products are exact: relaxed lowerings may saturate pairs at 16 bits,
/// which 7-bit codes cannot reach (2 * 127 * 128 < 32768).
pub(crate) const CODE_BITS: u32 = if cfg!(target_feature = "relaxed-simd") { 7 } else { 8 };
/// Tokens of one tile: how often a loaded weight vector is used.
pub(crate) const TILE_TOKENS: usize = 4;

/// 4 rows x 4 columns of codes.
pub(crate) type Codes = v128;
/// 4 activations, repeated for each row.
pub(crate) type Activations = v128;

#[inline(always)]
pub(crate) fn load_codes(bytes: &[u8; 16]) -> Codes {
    // SAFETY: the reference covers 16 readable bytes; v128_load needs no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

#[inline(always)]
pub(crate) fn low_nibbles(codes: Codes) -> Codes {
    v128_and(codes, u8x16_splat(0x0f))
}

#[inline(always)]
pub(crate) fn high_nibbles(codes: Codes) -> Codes {
    // x86 has no 8-bit shift: shift 16-bit lanes and drop what came from the neighbour.
    v128_and(u16x8_shr(codes, 4), u8x16_splat(0x0f))
}

#[inline(always)]
pub(crate) fn store_codes(codes: Codes, into: &mut [u8; 16]) {
    // SAFETY: the reference covers 16 writable bytes; v128_store needs no alignment.
    unsafe { v128_store(into.as_mut_ptr().cast(), codes) }
}

#[inline(always)]
fn lanes(vector: v128) -> i32x4 {
    i32x4::new([
        i32x4_extract_lane::<0>(vector),
        i32x4_extract_lane::<1>(vector),
        i32x4_extract_lane::<2>(vector),
        i32x4_extract_lane::<3>(vector),
    ])
}

#[cfg(target_feature = "relaxed-simd")]
mod form {
    //! One relaxed instruction: codes second, because x86 takes that operand as unsigned.
    use super::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Accumulator(v128);

    #[inline(always)]
    pub(crate) fn splat_activations(quad: &[i8; 4]) -> Activations {
        i32x4_splat(i32::from_le_bytes(quad.map(|value| value as u8)))
    }

    #[inline(always)]
    pub(crate) fn zero() -> Accumulator {
        Accumulator(i32x4_splat(0))
    }

    #[inline(always)]
    pub(crate) fn dot(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
        Accumulator(i32x4_relaxed_dot_i8x16_i7x16_add(activations, codes, sums.0))
    }

    #[inline(always)]
    pub(crate) fn finish(sums: Accumulator) -> i32x4 {
        lanes(sums.0)
    }
}

#[cfg(not(target_feature = "relaxed-simd"))]
mod form {
    //! Two 16-bit dot products; column pairs are added when the sums are finished.
    use super::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Accumulator(v128, v128);

    #[inline(always)]
    pub(crate) fn splat_activations(quad: &[i8; 4]) -> Activations {
        i16x8_extend_low_i8x16(i32x4_splat(i32::from_le_bytes(quad.map(|value| value as u8))))
    }

    #[inline(always)]
    pub(crate) fn zero() -> Accumulator {
        Accumulator(i32x4_splat(0), i32x4_splat(0))
    }

    #[inline(always)]
    pub(crate) fn dot(sums: Accumulator, codes: Codes, activations: Activations) -> Accumulator {
        let low = i32x4_dot_i16x8(u16x8_extend_low_u8x16(codes), activations);
        let high = i32x4_dot_i16x8(u16x8_extend_high_u8x16(codes), activations);
        Accumulator(i32x4_add(sums.0, low), i32x4_add(sums.1, high))
    }

    #[inline(always)]
    pub(crate) fn finish(sums: Accumulator) -> i32x4 {
        let even = i32x4_shuffle::<0, 2, 4, 6>(sums.0, sums.1);
        let odd = i32x4_shuffle::<1, 3, 5, 7>(sums.0, sums.1);
        lanes(i32x4_add(even, odd))
    }
}

pub(crate) use form::*;
