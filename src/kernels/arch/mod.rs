//! The integer dot product of four rows by a few columns, in the best form the target offers.
//!
//! Each form has the same interface, so that `matmul.rs` is written once. A vector holds 4 rows
//! by [`STEP`] consecutive columns, rows outermost: `Codes` are weight codes, `Activations` are
//! the same `STEP` activations for each row, and the four 32-bit sums are one a row.

#[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
mod pairs;
#[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
pub(crate) use pairs::*;

#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub(crate) use relaxed::*;

/// Columns whose 4-bit codes share 4 bytes of a row.
pub(crate) const NIBBLE_COLUMNS: usize = 8;

/// How 8-bit codes go through the dot product, which takes 7 bits everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wide {
    /// It takes unsigned bytes whole.
    Unsigned,
    /// It takes signed bytes whole.
    Signed,
    /// As two halves that add up to the code.
    Halves,
}

/// Which form of 8-bit codes this machine computes right.
pub(crate) fn wide() -> Wide {
    let cases: [[i8; 4]; 3] = [[127; 4], [-127; 4], [127, -127, 1, -2]];
    let right = |code: u8, weight: i32| {
        cases.iter().all(|quad| {
            let products = quad.iter().map(|&activation| weight * i32::from(activation));
            probe(code, quad) == products.sum::<i32>()
        })
    };
    if right(255, 255) && right(129, 129) {
        Wide::Unsigned
    } else if right(255, -1) && right(129, -127) {
        Wide::Signed
    } else {
        Wide::Halves
    }
}

/// The first row's sum of one code with each of four activations.
fn probe(code: u8, quad: &[i8; 4]) -> i32 {
    let [codes, _] = load_bytes(&[code; 8 * STEP]);
    let activations: [Activation; 4] = quad.map(Activation::from);
    let chunks = activations.as_chunks::<STEP>().0.iter();
    let sums = chunks.fold(zero(), |sums, chunk| dot(sums, codes, splat(chunk)));
    integers(sums)[0]
}

/// Whether this machine's dot product gives the right sums, also where it adds to earlier ones.
///
/// An engine's compiler can be wrong about a young instruction: the baseline compiler of V8 11.3
/// adds the accumulator of `i32x4.relaxed_dot_i8x16_i7x16_add` twice.
pub fn dot_is_exact() -> bool {
    let codes: [u8; 8 * STEP] = std::array::from_fn(|index| ((index as u8 * 7 + 3) & 0x7f) | 65);
    let quads: [[i8; 4]; 3] = [[1, -2, 3, -4], [127; 4], [-127; 4]];
    quads.iter().all(|quad| {
        let activations: [Activation; 4] = quad.map(Activation::from);
        let Some(activations) = activations.first_chunk::<STEP>() else { return false };
        let splatted = splat(activations);
        let sums = load_bytes(&codes)
            .map(|loaded| integers(dot(dot(zero(), loaded, splatted), loaded, splatted)));
        codes.as_chunks::<STEP>().0.iter().zip(sums.into_iter().flatten()).all(|(row, sum)| {
            let plain = row.iter().zip(activations).map(|(a, b)| i32::from(*a) * i32::from(*b));
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
