//! The product of a single token with quantised panels, whose codes are read as they are stored.

pub(crate) use crate::arch::STREAMS;
use crate::arch::{self, Accumulator, Activation, Activations, Codes, Mask, NIBBLE_COLUMNS, STEP};
use crate::matmul::{Activated, Band, RowSums};
use crate::matrix::{Form, Panel};
use crate::quantise::Tile;
use crate::{ACTIVATION_BLOCK, PANEL_ROWS};
use wide::f32x4;

/// Stores the product of the one row of `x` with each panel.
pub(crate) fn one_token<'a>(
    panels: impl Iterator<Item = Panel<'a>>,
    x: &Activated,
    out: &Band<'_>,
) {
    let panels: Vec<Panel<'_>> = panels.collect();
    // Several panels are several streams of memory, which the processor fetches ahead.
    let (strips, rest) = panels.as_chunks::<STREAMS>();
    strips.iter().for_each(|strip| strip_product(strip, x, out));
    rest.as_chunks::<1>().0.iter().for_each(|panel| strip_product(panel, x, out));
}

fn strip_product<const PANELS: usize>(panels: &[Panel<'_>; PANELS], x: &Activated, out: &Band<'_>) {
    let form = panels[0].layout.form;
    let kernel = match form {
        Form::Nibbles => product::<PANELS, Nibbles>,
        Form::Bytes | Form::SignedBytes => product::<PANELS, Bytes>,
        Form::Halves => product::<PANELS, Halves>,
    };
    // For the second row the panels are in the nearest cache.
    let rest = x.rest.tiles().filter(|_| form != Form::Nibbles);
    let mut sums = [[f32x4::ZERO; 2]; PANELS];
    for row in x.rows.tiles().chain(rest) {
        for (sums, more) in sums.iter_mut().zip(kernel(panels, row)) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
    for (panel, sums) in panels.iter().zip(sums) {
        out.store(panel.index, 0, sums);
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

fn product<const PANELS: usize, S: Source>(
    panels: &[Panel<'_>; PANELS],
    x: Tile<'_>,
) -> [RowSums; PANELS] {
    assert_eq!(x.tokens, 1);
    let layout = panels[0].layout;
    let x_groups = if layout.group == ACTIVATION_BLOCK { x.by_block } else { x.by_half };
    let (steps, mask) = (layout.group / STEP, arch::nibble_mask());
    let (code_bytes, group_bytes) = (layout.code_bytes(), layout.group_bytes());
    let mut sums = [[f32x4::ZERO; 2]; PANELS];
    let groups = x.codes.as_chunks::<STEP>().0.chunks_exact(steps);
    for (index, ((x, x_scale), x_sum)) in groups.zip(x_groups.scales).zip(x_groups.sums).enumerate()
    {
        let start = index * group_bytes;
        let groups = panels.each_ref().map(|panel| &panel.bytes[start..][..group_bytes]);
        let integers = dots::<PANELS, S>(groups.map(|group| &group[..code_bytes]), x, mask);
        let (x_scale, x_sum) = (f32x4::splat(*x_scale), f32x4::splat(*x_sum));
        for ((group, integers), sums) in groups.iter().zip(integers).zip(&mut sums) {
            let [scales, minima] = layout.numbers(&group[code_bytes..]);
            for side in 0..2 {
                let product = arch::finish(integers[side]) * x_scale;
                let sum = arch::multiply_add(minima[side], x_sum, sums[side]);
                sums[side] = arch::multiply_add(product, scales[side], sum);
            }
        }
    }
    sums
}

/// Dot products of one group of each panel's 8 rows with the token.
///
/// The loop over the steps must stay a loop: unrolled, the compiler orders it sum by sum and runs out
/// of registers. That is why the group's length is no constant here.
#[inline(always)]
fn dots<const PANELS: usize, S: Source>(
    codes: [&[u8]; PANELS],
    x: &[[Activation; STEP]],
    mask: Mask,
) -> [[Accumulator; 2]; PANELS] {
    let mut sums = [[arch::zero(); 2]; PANELS];
    let chunks = x.chunks_exact(S::STEPS);
    assert!(codes.iter().all(|codes| codes.len() == chunks.len() * S::BYTES));
    for (chunk, x) in chunks.enumerate() {
        let start = chunk * S::BYTES;
        // SAFETY: there are as many chunks of codes as of activations, as asserted above.
        let codes = codes.map(|codes| unsafe { codes.get_unchecked(start..start + S::BYTES) });
        for (step, x) in x.iter().enumerate() {
            let x = arch::splat(x);
            for (codes, sums) in codes.iter().zip(&mut sums) {
                let [low, high] = S::load(codes, step, mask);
                sums[0] = S::dot(sums[0], low, x);
                sums[1] = S::dot(sums[1], high, x);
            }
        }
    }
    sums
}
