//! The integer dot product of four rows by four columns, in the best form the target offers.
//!
//! Each form has the same interface, so that `matmul.rs` is written once: `Codes` are 16
//! unsigned weight codes (4 rows x 4 consecutive columns, rows outermost), `Activations` are
//! 4 signed activations repeated for each row, and an `Accumulator` becomes four `i32`, one a row.

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod generic;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) use generic::*;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm32;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm32::*;

/// Whether this machine's dot product gives the right sums, also where it adds to earlier ones.
///
/// An engine's compiler can be wrong about a young instruction: the baseline compiler of V8 11.3
/// adds the accumulator of `i32x4.relaxed_dot_i8x16_i7x16_add` twice.
pub fn dot_is_exact() -> bool {
    let largest = (1u32 << (CODE_BITS - 1)) as u8 | 1;
    let codes: [u8; 16] = std::array::from_fn(|index| (index as u8 * 7 + 3).min(largest));
    [[1, -2, 3, -4], [127, 127, 127, 127], [-127, -127, -127, -127]].iter().all(|quad| {
        let activations = splat_activations(quad);
        let loaded = load_codes(&codes);
        let once = dot(zero(), loaded, activations);
        let sums = finish(dot(once, loaded, activations)).to_array();
        codes.as_chunks::<4>().0.iter().zip(sums).all(|(row, sum)| {
            let plain = row.iter().zip(quad).map(|(a, b)| i32::from(*a) * i32::from(*b));
            sum == 2 * plain.sum::<i32>()
        })
    })
}

#[cfg(test)]
mod tests {
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_dot_product_is_exact_here() {
        assert!(super::dot_is_exact());
    }
}
