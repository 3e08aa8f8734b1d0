//! The product of a single token with quantised panels, whose codes are read as they are stored.

use crate::arch::{
    self, Accumulator, Activation, Activations, Codes, Mask, NIBBLE_COLUMNS, STEP, STREAMS,
};
use crate::matmul::{Activated, Band, RowSums};
use crate::matrix::{Form, Strip};
use crate::quantise::{REST_BITS, Tile};
use crate::{ACTIVATION_BLOCK, PANEL_ROWS};
use wide::f32x4;

/// Stores the product of the one row of `x` with all panels of a strip.
pub(crate) fn one_token(strip: &Strip<'_>, x: &Activated, out: &Band<'_>) {
    let kernel = match strip.layout.form {
        Form::Nibbles => product::<Nibbles>,
        Form::Bytes | Form::SignedBytes => product::<Bytes>,
        Form::Halves => product::<Halves>,
    };
    let sums = kernel(strip, x.rows.tile(0), x.rest.tile(0));
    for (panel, sums) in sums.into_iter().enumerate() {
        out.store(strip.first + panel, 0, sums);
    }
}

/// Codes in memory: a few steps at a time.
trait Source {
    /// Steps of [`STEP`] columns that are read at a time.
    const STEPS: usize;
    /// Bytes that hold them, for 8 rows.
    const BYTES: usize;

    /// Rows 0-3 and 4-7 of one of the steps.
    fn load(bytes: &[u8], step: usize, mask: Mask) -> [Codes; 2];

    #[inline(always)]
    fn dot(sums: Accumulator, codes: Codes, x: Activations) -> Accumulator {
        arch::dot(sums, codes, x)
    }
}

struct Nibbles;

impl Source for Nibbles {
    const STEPS: usize = NIBBLE_COLUMNS / STEP;
    const BYTES: usize = 4 * PANEL_ROWS;

    #[inline(always)]
    fn load(bytes: &[u8], step: usize, mask: Mask) -> [Codes; 2] {
        let sides = bytes.as_chunks::<16>().0;
        [arch::unpack(&sides[0], mask)[step], arch::unpack(&sides[1], mask)[step]]
    }
}

struct Bytes;

impl Source for Bytes {
    const STEPS: usize = 1;
    const BYTES: usize = STEP * PANEL_ROWS;

    #[inline(always)]
    fn load(bytes: &[u8], _: usize, _: Mask) -> [Codes; 2] {
        arch::load_bytes(&bytes.as_chunks::<{ STEP * PANEL_ROWS }>().0[0])
    }
}

/// Codes that the dot product takes in halves.
struct Halves;

impl Source for Halves {
    const STEPS: usize = Bytes::STEPS;
    const BYTES: usize = Bytes::BYTES;

    #[inline(always)]
    fn load(bytes: &[u8], step: usize, mask: Mask) -> [Codes; 2] {
        Bytes::load(bytes, step, mask)
    }

    #[inline(always)]
    fn dot(sums: Accumulator, codes: Codes, x: Activations) -> Accumulator {
        arch::dot_halves(sums, codes, x)
    }
}

/// The product with the row whose codes are those of `x` and, shifted to the right, of `rest`.
fn product<S: Source>(strip: &Strip<'_>, x: Tile<'_>, rest: Tile<'_>) -> [RowSums; STREAMS] {
    let columns = strip.layout.group;
    let x_groups = if columns == ACTIVATION_BLOCK { rest.by_block } else { rest.by_half };
    let offset = -strip.layout.offset as f32;
    let mask = arch::nibble_mask();
    let mut sums = [[f32x4::ZERO; 2]; STREAMS];
    let [x, rest] = [x, rest].map(|x| x.codes.as_chunks::<STEP>().0.chunks_exact(columns / STEP));
    let x_groups = x.zip(rest).zip(x_groups.scales.iter().zip(x_groups.sums));
    for (group, ((x, rest), (x_scale, x_sum))) in strip.groups().zip(x_groups) {
        let integers = dots::<S>(group.codes, x, rest, mask);
        let (x_scale, x_sum) = (f32x4::splat(*x_scale), f32x4::splat(*x_sum));
        let of_offset = x_sum * f32x4::splat(offset);
        for (panel, (integers, sums)) in integers.into_iter().zip(&mut sums).enumerate() {
            let scales = group.scales(panel);
            if let Some(minima) = group.minima(panel) {
                for side in 0..2 {
                    sums[side] = arch::multiply_add(minima[side], x_sum, sums[side]);
                }
            }
            for side in 0..2 {
                let product = arch::multiply_add(arch::finish(integers[side]), x_scale, of_offset);
                sums[side] = arch::multiply_add(product, scales[side], sums[side]);
            }
        }
    }
    sums
}

/// Panels whose sums, two for each row, fit the registers.
const PANELS: usize = 2;

/// Dot products of one group of each panel's 8 rows with the token.
///
/// The loop over the steps must stay a loop: unrolled, the compiler orders it sum by sum and runs out
/// of registers. That is why the group's length is no constant here.
#[inline(always)]
fn dots<S: Source>(
    codes: &[u8],
    x: &[[Activation; STEP]],
    rest: &[[Activation; STEP]],
    mask: Mask,
) -> [[Accumulator; 2]; STREAMS] {
    let mut all = [[arch::zero(); 2]; STREAMS];
    for (part, all) in all.chunks_exact_mut(PANELS).enumerate() {
        let mut sums = [[[arch::zero(); 2]; 2]; PANELS];
        let runs = codes.chunks_exact(S::BYTES * STREAMS);
        for ((codes, x), rest) in
            runs.zip(x.chunks_exact(S::STEPS)).zip(rest.chunks_exact(S::STEPS))
        {
            let codes = codes[part * PANELS * S::BYTES..].chunks_exact(S::BYTES);
            for (codes, sums) in codes.zip(&mut sums) {
                for (step, (x, rest)) in x.iter().zip(rest).enumerate() {
                    let codes = S::load(codes, step, mask);
                    for (sums, x) in sums.iter_mut().zip([x, rest]) {
                        let x = arch::splat(x);
                        for (sum, codes) in sums.iter_mut().zip(codes) {
                            *sum = S::dot(*sum, codes, x);
                        }
                    }
                }
            }
        }
        for (all, [sums, rest]) in all.iter_mut().zip(sums) {
            *all = [0, 1].map(|side| arch::shift_and_add::<REST_BITS>(sums[side], rest[side]));
        }
    }
    all
}
