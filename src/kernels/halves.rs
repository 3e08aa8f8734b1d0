//! Eight numbers in half precision, widened four at a time with shifts alone.
//!
//! A 32-bit lane holds number `i` in its low half and number `i + 4` in its high half, so that widening
//! needs no shuffle. Infinities and what is no number do not come back.

use half::f16;
use wide::{f32x4, i32x4};

/// Number `i` and number `i + 4`, for `i` from 0 to 3.
pub(crate) type Eight = [u8; 16];

/// Sign, exponent and fraction of a half-precision number that was shifted to where those of single
/// precision are.
const FIELDS: i32 = 0x8fff_e000_u32 as i32;
/// What the exponents' biases differ by: `2^(127 - 15)`.
const REBIAS: f32 = f32::from_bits((127 + 127 - 15) << 23);

/// Numbers 0-3 and 4-7.
#[inline(always)]
pub(crate) fn load(eight: &Eight) -> [f32x4; 2] {
    const { assert!(cfg!(target_endian = "little")) };
    let pairs: i32x4 = bytemuck::cast(*eight);
    [pairs << 16, pairs].map(|upper| {
        let fields = (upper >> 3) & i32x4::splat(FIELDS);
        bytemuck::cast::<i32x4, f32x4>(fields) * f32x4::splat(REBIAS)
    })
}

/// Stores number `index`, rounded.
pub(crate) fn put(eight: &mut Eight, index: usize, number: f32) {
    let at = 4 * (index % 4) + 2 * (index / 4);
    eight[at..at + 2].copy_from_slice(&f16::from_f32(number).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_finite_number_comes_back() {
        let finite: Vec<f32> = (0..=u16::MAX)
            .map(|bits| f16::from_bits(bits).to_f32())
            .filter(|x| x.is_finite())
            .collect();
        for numbers in finite.as_chunks::<8>().0 {
            let mut eight = [0; 16];
            numbers.iter().enumerate().for_each(|(index, number)| put(&mut eight, index, *number));
            let loaded = load(&eight).map(|four| four.to_array());
            assert_eq!(loaded.as_flattened(), numbers);
        }
    }
}
