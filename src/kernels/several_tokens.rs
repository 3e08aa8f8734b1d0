//! The product of several tokens with quantised panels, which are unpacked once for all of them.

use crate::arch::{self, Accumulator, Activation, Code, STEP};
use crate::matmul::{Band, RowSums};
use crate::matrix::{Form, Layout, Strip};
use crate::quantise::{QuantisedRows, TILE_TOKENS, Tile};
use crate::{ACTIVATION_BLOCK, PANEL_ROWS};
use std::cell::RefCell;
use wide::f32x4;

thread_local! {
    /// One panel's groups.
    static UNPACKED: RefCell<Vec<Group>> = const { RefCell::new(Vec::new()) };
}

/// A group of a panel as the tile reads it.
#[derive(Clone, Copy)]
struct Group {
    /// `[column / STEP][row][STEP]`; of shorter groups the first ones.
    codes: [[Code; STEP * PANEL_ROWS]; ACTIVATION_BLOCK / STEP],
    scales: RowSums,
    minima: RowSums,
}

const EMPTY: Group = Group {
    codes: [[0; STEP * PANEL_ROWS]; ACTIVATION_BLOCK / STEP],
    scales: [f32x4::ZERO; 2],
    minima: [f32x4::ZERO; 2],
};

/// Stores the products of the rows of `x` with one panel of a strip.
pub(crate) fn several_tokens(strip: &Strip<'_>, panel: usize, x: &QuantisedRows, out: &Band<'_>) {
    UNPACKED.with_borrow_mut(|groups| {
        unpack(strip, panel, groups);
        let halves = strip.layout.form == Form::Halves;
        let kernel = if halves { store_tile::<true> } else { store_tile::<false> };
        let panel = (strip.first + panel, strip.layout);
        x.tiles().for_each(|tile| kernel(panel, groups, tile, out));
    });
}

fn unpack(strip: &Strip<'_>, panel: usize, into: &mut Vec<Group>) {
    let groups = strip.groups();
    into.resize(groups.len(), EMPTY);
    for (packed, group) in groups.zip(into) {
        [group.scales, group.minima] = packed.numbers(panel);
        unpack_codes(strip.layout, packed.runs(panel), &mut group.codes);
    }
}

#[inline(always)]
fn unpack_codes<'a>(
    layout: Layout,
    runs: impl Iterator<Item = &'a [u8]>,
    into: &mut [[Code; STEP * PANEL_ROWS]],
) {
    if layout.form == Form::Nibbles {
        let mask = arch::nibble_mask();
        for (bytes, into) in runs.zip(into.chunks_exact_mut(arch::NIBBLE_COLUMNS / STEP)) {
            let sides = bytes.as_chunks::<16>().0;
            let (low, high) = (arch::unpack(&sides[0], mask), arch::unpack(&sides[1], mask));
            for ((into, low), high) in into.iter_mut().zip(low).zip(high) {
                arch::store([low, high], into);
            }
        }
    } else {
        for (bytes, into) in runs.zip(into) {
            arch::store(arch::load_bytes(&bytes.as_chunks().0[0]), into);
        }
    }
}

fn store_tile<const HALVES: bool>(
    panel: (usize, Layout),
    groups: &[Group],
    x: Tile<'_>,
    out: &Band<'_>,
) {
    fn store<const TOKENS: usize, const HALVES: bool>(
        (panel, layout): (usize, Layout),
        groups: &[Group],
        x: Tile<'_>,
        out: &Band<'_>,
    ) {
        let sums = tile::<TOKENS, HALVES>(groups, layout.group, x);
        for (token, sums) in sums.into_iter().enumerate() {
            out.store(panel, x.first + token, sums);
        }
    }
    let kernel = match x.tokens {
        1 => store::<1, HALVES>,
        2 => store::<2, HALVES>,
        3 => store::<3, HALVES>,
        _ => store::<TILE_TOKENS, HALVES>,
    };
    kernel(panel, groups, x, out);
}

/// `TOKENS` tokens with 8 rows, of whose groups each has `length` columns.
fn tile<const TOKENS: usize, const HALVES: bool>(
    groups: &[Group],
    length: usize,
    x: Tile<'_>,
) -> [RowSums; TOKENS] {
    assert_eq!(x.tokens, TOKENS);
    let x_groups = if length == ACTIVATION_BLOCK { x.by_block } else { x.by_half };
    let mut sums = [[f32x4::ZERO; 2]; TOKENS];
    let x_codes = x.codes.as_chunks::<STEP>().0.chunks_exact(length / STEP * TOKENS);
    let x_scales = x_groups.scales.as_chunks::<TOKENS>().0;
    let x_sums = x_groups.sums.as_chunks::<TOKENS>().0;
    for (((group, x), x_scales), x_sums) in groups.iter().zip(x_codes).zip(x_scales).zip(x_sums) {
        let integers = dots::<TOKENS, HALVES>(group, x);
        for (((sums, integers), x_scale), x_sum) in
            sums.iter_mut().zip(integers).zip(x_scales).zip(x_sums)
        {
            let (x_scale, x_sum) = (f32x4::splat(*x_scale), f32x4::splat(*x_sum));
            for side in 0..2 {
                let product = arch::finish(integers[side]) * x_scale;
                let sum = arch::multiply_add(group.minima[side], x_sum, sums[side]);
                sums[side] = arch::multiply_add(product, group.scales[side], sum);
            }
        }
    }
    sums
}

/// Dot products of one group's 8 rows with each token.
///
/// The loop over the steps must stay a loop: unrolled, the compiler orders it sum by sum and runs out
/// of registers. That is why the number of steps is no constant here.
#[inline(always)]
fn dots<const TOKENS: usize, const HALVES: bool>(
    group: &Group,
    x: &[[Activation; STEP]],
) -> [[Accumulator; 2]; TOKENS] {
    let mut sums = [[arch::zero(); 2]; TOKENS];
    for (codes, x) in group.codes.iter().zip(x.as_chunks::<TOKENS>().0) {
        let codes = arch::load(codes);
        for (sums, x) in sums.iter_mut().zip(x) {
            let x = arch::splat(x);
            for (sum, codes) in sums.iter_mut().zip(codes) {
                *sum = match HALVES {
                    true => arch::dot_halves(*sum, codes, x),
                    false => arch::dot(*sum, codes, x),
                };
            }
        }
    }
    sums
}
