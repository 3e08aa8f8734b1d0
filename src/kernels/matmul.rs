//! Products of rows of activations with weight matrices: `out[t, r] = sum_c x[t, c] * w[r, c]`.
//!
//! With a quantised matrix the sum runs group by group in integers:
//! `out += scale_w * scale_x * (sum(code * x) - offset * sum(x)) + minimum * scale_x * sum(x)`.

use crate::arch::{
    self, Accumulator, Activation, Activations, Code, Codes, Mask, NIBBLE_COLUMNS, STEP, STREAMS,
};
use crate::matrix::{Form, Matrix, Quantised, Storage};
use crate::pool::{Disjoint, Pool};
use crate::quantise::{QuantisedRows, TILE_TOKENS, Tile};
use crate::{ACTIVATION_BLOCK, PANEL_ROWS};
use std::cell::RefCell;
use std::ops::Range;
use wide::f32x4;

/// Sums of one token with the 8 rows of a panel.
type RowSums = [f32x4; 2];

/// Multiply-adds that are worth a part of their own.
const LEAST_WORK: usize = 1 << 17;

thread_local! {
    /// One panel with a number for each code.
    static UNPACKED: RefCell<Vec<Code>> = const { RefCell::new(Vec::new()) };
}

/// A matrix and where its product goes, `[tokens, rows]`.
pub type Output<'a> = (&'a Matrix, &'a mut [f32]);

/// Buffers that matrix products need, kept between calls.
#[derive(Default)]
pub struct Workspace {
    activations: Activated,
    /// What the codes of a single token leave of its activations.
    rest: Vec<f32>,
}

/// How exact the activations of a product with a single token are; several always have 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// 8 bits.
    Plain,
    /// With weights of more than 4 bits about 15, as a second row of codes that stands for what the
    /// first leaves: beside such weights the activations' error would be the larger one.
    Fine,
}

/// Activations of a pass.
#[derive(Default)]
struct Activated {
    rows: QuantisedRows,
    /// Of a single token, what `rows` leaves; empty where that is not wanted.
    rest: QuantisedRows,
}

impl Workspace {
    /// Computes `out = x * matrix^T`, `[tokens, rows]`, for each output; `x` is `[tokens, columns]`.
    ///
    /// # Panics
    /// When a slice is shorter than its shape demands.
    pub fn products(
        &mut self,
        pool: &Pool,
        (x, tokens, detail): (&[f32], usize, Detail),
        outputs: &mut [Output<'_>],
    ) {
        let columns = x.len() / tokens;
        assert!(outputs.iter().all(|(matrix, _)| matrix.columns == columns), "x has other columns");
        if outputs.iter().any(|(matrix, _)| matrix.is_quantised()) {
            self.activations.rows.quantise(pool, x, tokens, columns);
            let is_fine =
                |(matrix, _): &Output<'_>| matrix.form().is_some_and(|form| form != Form::Nibbles);
            self.activations.rest.clear();
            if tokens == 1 && detail == Detail::Fine && outputs.iter().any(is_fine) {
                self.rest.resize(columns, 0.0);
                self.activations.rows.residual(x, &mut self.rest);
                self.activations.rest.quantise(pool, &self.rest, 1, columns);
            }
        }
        let activations = &self.activations;
        // Strips of all outputs are numbered through, so that one job serves all.
        let strip = if tokens == 1 { STREAMS } else { 1 };
        let mut strips = 0;
        let products: Vec<Product<'_>> = outputs
            .iter_mut()
            .map(|(matrix, out)| {
                let first = strips;
                strips += matrix.rows.div_ceil(PANEL_ROWS * strip);
                let out = Band { values: Disjoint::new(out), rows: matrix.rows };
                Product { matrix, out, strips: first..strips }
            })
            .collect();
        let parts = pool.parts(strips, LEAST_WORK / (strip * PANEL_ROWS * columns * tokens));
        pool.run(parts, |part| {
            let range = part * strips / parts..(part + 1) * strips / parts;
            for product in &products {
                let start = range.start.max(product.strips.start);
                let end = range.end.min(product.strips.end);
                if start < end {
                    let first = product.strips.start;
                    let panels = (start - first) * strip..(end - first) * strip;
                    product.panels(panels, x, activations);
                }
            }
        });
    }
}

/// One matrix of a job.
struct Product<'a> {
    matrix: &'a Matrix,
    out: Band<'a>,
    /// Its strips, runs of panels, among those of all matrices.
    strips: Range<usize>,
}

impl Product<'_> {
    fn panels(&self, panels: Range<usize>, x: &[f32], activations: &Activated) {
        let columns = self.matrix.columns;
        let panels = panels.start..panels.end.min(self.matrix.rows.div_ceil(PANEL_ROWS));
        match &self.matrix.storage {
            Storage::Float(values) => {
                for panel in panels {
                    let length = columns * PANEL_ROWS;
                    let weights = values[panel * length..][..length].as_chunks::<PANEL_ROWS>().0;
                    float_panel(weights, x, &self.out, panel);
                }
            }
            Storage::Quantised(weights) => {
                let rows = &activations.rows;
                assert_eq!(rows.shape(), [x.len() / columns, columns]);
                let panel = |panel| Panel::new(weights, columns, panel);
                if let [1, _] = rows.shape() {
                    // Several panels are several streams of memory, which the processor fetches ahead.
                    let mut next = panels.start;
                    while next + STREAMS <= panels.end {
                        let panels = std::array::from_fn(|index| panel(next + index));
                        one_token::<STREAMS>(panels, activations, &self.out);
                        next += STREAMS;
                    }
                    (next..panels.end)
                        .for_each(|index| one_token([panel(index)], activations, &self.out));
                } else {
                    panels.for_each(|index| several_tokens(panel(index), rows, &self.out));
                }
            }
        }
    }
}

/// Where sums go: `[tokens, rows]`, each panel a band of columns.
struct Band<'a> {
    values: Disjoint<'a, f32>,
    rows: usize,
}

impl Band<'_> {
    #[inline(always)]
    fn store(&self, panel: usize, token: usize, [low, high]: RowSums) {
        let first = panel * PANEL_ROWS;
        let width = PANEL_ROWS.min(self.rows - first);
        // SAFETY: bands of different panels do not overlap, and each panel is one part's.
        let out = unsafe { self.values.slice(token * self.rows + first, width) };
        let (low, high) = (low.to_array(), high.to_array());
        if let Some(out) = out.first_chunk_mut::<PANEL_ROWS>() {
            out[..4].copy_from_slice(&low);
            out[4..].copy_from_slice(&high);
        } else {
            for (value, sum) in out.iter_mut().zip(low.into_iter().chain(high)) {
                *value = sum;
            }
        }
    }
}

/// The groups of one panel; see [`Quantised`].
#[derive(Clone, Copy)]
struct Panel<'a> {
    index: usize,
    bytes: &'a [u8],
    code_bytes: usize,
    group_bytes: usize,
    form: Form,
    group: usize,
    offset: i32,
}

impl<'a> Panel<'a> {
    fn new(weights: &'a Quantised, columns: usize, panel: usize) -> Self {
        let &Quantised { group, offset, form, .. } = weights;
        Self {
            index: panel,
            bytes: weights.panel(columns, panel),
            code_bytes: weights.code_bytes(),
            group_bytes: weights.group_bytes(),
            form,
            group,
            offset,
        }
    }

    /// The bytes of a group.
    #[inline(always)]
    fn group(&self, index: usize) -> &'a [u8] {
        &self.bytes[index * self.group_bytes..][..self.group_bytes]
    }
}

/// One token with some panels, whose codes are read as they are stored.
fn one_token<const PANELS: usize>(panels: [Panel<'_>; PANELS], x: &Activated, out: &Band<'_>) {
    let kernel = match panels[0].form {
        Form::Nibbles => tile::<1, PANELS, Nibbles>,
        Form::Bytes | Form::SignedBytes => tile::<1, PANELS, Bytes>,
        Form::Halves => tile::<1, PANELS, Halves<Bytes>>,
    };
    let codes = (panels.map(|panel| panel.bytes), panels[0].group_bytes);
    // For the second row the panels are in the nearest cache.
    let rest = x.rest.tiles().filter(|_| panels[0].form != Form::Nibbles);
    let mut sums = [[[f32x4::ZERO; 2]]; PANELS];
    for tile in x.rows.tiles().chain(rest) {
        for ([sums], [more]) in sums.iter_mut().zip(kernel(panels, codes, tile)) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
    for (panel, [sums]) in panels.iter().zip(sums) {
        out.store(panel.index, 0, sums);
    }
}

/// All tokens with one panel, unpacked for them.
fn several_tokens(weights: Panel<'_>, x: &QuantisedRows, out: &Band<'_>) {
    let [_, columns] = x.shape();
    UNPACKED.with_borrow_mut(|unpacked| {
        unpacked.resize(PANEL_ROWS * columns, Code::default());
        let kernel = match weights.form {
            Form::Nibbles => unpack::<Nibbles>,
            _ => unpack::<Bytes>,
        };
        kernel(weights, unpacked);
        let kernel = match weights.form {
            Form::Halves => several::<Halves<Unpacked>>,
            _ => several::<Unpacked>,
        };
        let codes = ([&unpacked[..]], PANEL_ROWS * weights.group);
        x.tiles().for_each(|tile| kernel([weights], codes, tile, out));
    });
}

fn unpack<S: Source<Element = u8>>(weights: Panel<'_>, unpacked: &mut [Code]) {
    let mask = arch::nibble_mask();
    let unpacked = unpacked.chunks_exact_mut(PANEL_ROWS * weights.group);
    for (group, unpacked) in unpacked.enumerate() {
        let bytes = weights.group(group);
        let steps = unpacked.as_chunks_mut::<{ 4 * STEP }>().0.chunks_exact_mut(2 * S::STEPS);
        for (codes, sides) in bytes[..weights.code_bytes].chunks_exact(S::ELEMENTS).zip(steps) {
            for (step, sides) in sides.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                for (codes, side) in S::load(codes, step, mask).into_iter().zip(sides) {
                    arch::store(codes, side);
                }
            }
        }
    }
}

/// Codes in memory, as the tile reads them: a few steps at a time.
trait Source {
    type Element;
    /// Steps of [`STEP`] columns that are read at a time.
    const STEPS: usize;
    /// Elements that hold them, for 8 rows.
    const ELEMENTS: usize;

    /// Rows 0-3 and 4-7 of one of the steps.
    fn load(codes: &[Self::Element], step: usize, mask: Mask) -> [Codes; 2];

    #[inline(always)]
    fn dot(sums: Accumulator, codes: Codes, x: Activations) -> Accumulator {
        arch::dot(sums, codes, x)
    }
}

struct Nibbles;

impl Source for Nibbles {
    type Element = u8;
    const STEPS: usize = NIBBLE_COLUMNS / STEP;
    const ELEMENTS: usize = 4 * PANEL_ROWS;

    #[inline(always)]
    fn load(codes: &[u8], step: usize, mask: Mask) -> [Codes; 2] {
        let sides = codes.as_chunks::<16>().0;
        [arch::unpack(&sides[0], mask)[step], arch::unpack(&sides[1], mask)[step]]
    }
}

struct Bytes;

impl Source for Bytes {
    type Element = u8;
    const STEPS: usize = 1;
    const ELEMENTS: usize = STEP * PANEL_ROWS;

    #[inline(always)]
    fn load(codes: &[u8], _: usize, _: Mask) -> [Codes; 2] {
        arch::load_bytes(&codes.as_chunks::<{ 8 * STEP }>().0[0])
    }
}

struct Unpacked;

impl Source for Unpacked {
    type Element = Code;
    const STEPS: usize = 1;
    const ELEMENTS: usize = STEP * PANEL_ROWS;

    #[inline(always)]
    fn load(codes: &[Code], _: usize, _: Mask) -> [Codes; 2] {
        let sides = codes.as_chunks::<{ 4 * STEP }>().0;
        [arch::load(&sides[0]), arch::load(&sides[1])]
    }
}

/// Codes that the dot product takes in halves.
struct Halves<S>(S);

impl<S: Source> Source for Halves<S> {
    type Element = S::Element;
    const STEPS: usize = S::STEPS;
    const ELEMENTS: usize = S::ELEMENTS;

    #[inline(always)]
    fn load(codes: &[S::Element], step: usize, mask: Mask) -> [Codes; 2] {
        S::load(codes, step, mask)
    }

    #[inline(always)]
    fn dot(sums: Accumulator, codes: Codes, x: Activations) -> Accumulator {
        arch::dot_halves(sums, codes, x)
    }
}

/// Codes of each panel by group, and from one group's first element to the next one's.
type Strided<'a, T, const PANELS: usize> = ([&'a [T]; PANELS], usize);

/// A tile of any number of tokens.
fn several<S: Source>(
    panels: [Panel<'_>; 1],
    codes: Strided<'_, S::Element, 1>,
    x: Tile<'_>,
    out: &Band<'_>,
) {
    fn store<const TOKENS: usize, S: Source>(
        panels: [Panel<'_>; 1],
        codes: Strided<'_, S::Element, 1>,
        x: Tile<'_>,
        out: &Band<'_>,
    ) {
        let [sums] = tile::<TOKENS, 1, S>(panels, codes, x);
        for (token, sums) in sums.into_iter().enumerate() {
            out.store(panels[0].index, x.first + token, sums);
        }
    }
    let kernel = match x.tokens {
        1 => store::<1, S>,
        2 => store::<2, S>,
        3 => store::<3, S>,
        _ => store::<TILE_TOKENS, S>,
    };
    kernel(panels, codes, x, out);
}

/// `TOKENS` tokens with `PANELS` panels, whose groups are read in turn.
fn tile<const TOKENS: usize, const PANELS: usize, S: Source>(
    panels: [Panel<'_>; PANELS],
    (codes, stride): Strided<'_, S::Element, PANELS>,
    x: Tile<'_>,
) -> [[RowSums; TOKENS]; PANELS] {
    assert_eq!(x.tokens, TOKENS);
    let Panel { group, code_bytes, offset, .. } = panels[0];
    let x_groups = if group == ACTIVATION_BLOCK { x.by_block } else { x.by_half };
    let (steps, mask) = (group / STEP, arch::nibble_mask());
    let code_elements = S::ELEMENTS * steps / S::STEPS;
    let mut sums = [[[f32x4::ZERO; 2]; TOKENS]; PANELS];
    let groups = x.codes.as_chunks::<STEP>().0.chunks_exact(steps * TOKENS);
    let x_scales = x_groups.scales.as_chunks::<TOKENS>().0;
    let x_sums = x_groups.sums.as_chunks::<TOKENS>().0;
    for (index, ((x, x_scales), x_sums)) in groups.zip(x_scales).zip(x_sums).enumerate() {
        let codes = codes.map(|codes| &codes[index * stride..][..code_elements]);
        let integers = dots::<TOKENS, PANELS, S>(codes, x, mask);
        for ((panel, integers), sums) in panels.iter().zip(integers).zip(&mut sums) {
            let [scales, minima] = split_scales(&panel.group(index)[code_bytes..], offset);
            for (((sums, integers), x_scale), x_sum) in
                sums.iter_mut().zip(integers).zip(x_scales).zip(x_sums)
            {
                let (x_scale, x_sum) = (f32x4::splat(*x_scale), f32x4::splat(*x_sum));
                for side in 0..2 {
                    let product = arch::finish(integers[side]) * x_scale;
                    let sum = arch::multiply_add(minima[side], x_sum, sums[side]);
                    sums[side] = arch::multiply_add(product, scales[side], sum);
                }
            }
        }
    }
    sums
}

/// Dot products of one group of each panel's 8 rows with each token.
///
/// The loop over the steps must stay a loop: unrolled, the compiler orders it sum by sum and runs out
/// of registers. That is why the group's length is no constant here.
#[inline(always)]
fn dots<const TOKENS: usize, const PANELS: usize, S: Source>(
    codes: [&[S::Element]; PANELS],
    x: &[[Activation; STEP]],
    mask: Mask,
) -> [[[Accumulator; 2]; TOKENS]; PANELS] {
    let mut sums = [[[arch::zero(); 2]; TOKENS]; PANELS];
    let chunks = x.chunks_exact(S::STEPS * TOKENS);
    assert!(codes.iter().all(|codes| codes.len() == chunks.len() * S::ELEMENTS));
    for (chunk, x) in chunks.enumerate() {
        let start = chunk * S::ELEMENTS;
        // SAFETY: there are as many chunks of codes as of activations, as asserted above.
        let codes = codes.map(|codes| unsafe { codes.get_unchecked(start..start + S::ELEMENTS) });
        for step in 0..S::STEPS {
            for (codes, sums) in codes.iter().zip(&mut sums) {
                let [low, high] = S::load(codes, step, mask);
                for (token, sums) in sums.iter_mut().enumerate() {
                    let x = arch::splat(&x[step * TOKENS + token]);
                    sums[0] = S::dot(sums[0], low, x);
                    sums[1] = S::dot(sums[1], high, x);
                }
            }
        }
    }
    sums
}

/// Scales and minima of 8 rows; a format with an offset has the minimum `-offset * scale`.
#[inline(always)]
fn split_scales(bytes: &[u8], offset: i32) -> [[f32x4; 2]; 2] {
    let quads = bytes.as_chunks::<16>().0;
    let scales = [arch::load_floats(&quads[0]), arch::load_floats(&quads[1])];
    let minima = match quads.get(2..4) {
        Some([low, high]) => [arch::load_floats(low), arch::load_floats(high)],
        _ => scales.map(|scale| scale * f32x4::splat(-offset as f32)),
    };
    [scales, minima]
}

#[inline(always)]
fn split_lanes(lanes: &[f32; PANEL_ROWS]) -> [f32x4; 2] {
    let [a, b, c, d, e, f, g, h] = *lanes;
    [f32x4::new([a, b, c, d]), f32x4::new([e, f, g, h])]
}

/// Tokens of one tile of the float product.
const FLOAT_TOKENS: usize = 4;

fn float_panel(weights: &[[f32; PANEL_ROWS]], x: &[f32], out: &Band<'_>, panel: usize) {
    let columns = weights.len();
    let mut tiles = x.chunks_exact(columns * FLOAT_TOKENS);
    let mut token = 0;
    for rows in &mut tiles {
        let rows = std::array::from_fn(|index| &rows[index * columns..][..columns]);
        for sums in float_tile::<FLOAT_TOKENS>(weights, rows) {
            out.store(panel, token, sums);
            token += 1;
        }
    }
    for row in tiles.remainder().chunks_exact(columns) {
        let [sums] = float_tile(weights, [row]);
        out.store(panel, token, sums);
        token += 1;
    }
}

#[inline(always)]
fn float_tile<const TOKENS: usize>(
    weights: &[[f32; PANEL_ROWS]],
    rows: [&[f32]; TOKENS],
) -> [RowSums; TOKENS] {
    let mut sums = [[f32x4::ZERO; 2]; TOKENS];
    let rows = rows.map(|row| &row[..weights.len()]);
    for (column, lanes) in weights.iter().enumerate() {
        let lanes = split_lanes(lanes);
        for token in 0..TOKENS {
            let value = f32x4::splat(rows[token][column]);
            sums[token][0] += lanes[0] * value;
            sums[token][1] += lanes[1] * value;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Precision, tests::random_tensor};
    use crate::quant::{TensorType, dequantise};
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The plain product of decoded weights with activations rounded as the kernel rounds them.
    fn reference(
        x: &[f32],
        tokens: usize,
        weights: &[f32],
        columns: usize,
        int8: bool,
    ) -> Vec<f32> {
        let mut rounded = QuantisedRows::default();
        rounded.quantise(&Pool::serial(), x, tokens, columns);
        let x = if int8 { rounded.values() } else { x.to_vec() };
        let rows = weights.chunks_exact(columns);
        x.chunks_exact(columns)
            .flat_map(|x| rows.clone().map(move |row| (x, row)))
            .map(|(x, row)| {
                x.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
            })
            .collect()
    }

    fn product(x: &[f32], tokens: usize, matrix: &Matrix, out: &mut [f32]) {
        let x = (x, tokens, Detail::Fine);
        Workspace::default().products(&Pool::serial(), x, &mut [(matrix, out)]);
    }

    #[test]
    fn every_type_agrees_with_the_plain_product() {
        for tensor_type in TensorType::ALL {
            for (tokens, rows, columns) in
                [(1, 8, 256), (3, 13, 256), (9, 16, 512), (6, 1, 768), (14, 20, 256)]
            {
                let raw = random_tensor(tensor_type, rows * columns);
                let mut decoded = vec![0.0; rows * columns];
                dequantise(tensor_type, &raw, &mut decoded);
                let x = random(tokens * columns, 3);
                for precision in [Precision::Int8, Precision::Float32] {
                    let matrix = Matrix::pack(
                        &Pool::serial(),
                        tensor_type,
                        &raw,
                        [rows, columns],
                        precision,
                    )
                    .unwrap();
                    let mut out = vec![f32::NAN; tokens * rows];
                    product(&x, tokens, &matrix, &mut out);
                    let is_fine = tokens == 1 && matrix.form() != Some(Form::Nibbles);
                    let is_rounded = matrix.is_quantised() && !is_fine;
                    let expected = reference(&x, tokens, &decoded, columns, is_rounded);
                    assert_close(&out, &expected, 2e-4);
                }
            }
        }
    }

    #[test]
    fn extreme_codes_do_not_saturate() {
        // Largest codes against largest activations of both signs: where a lowering of the dot
        // product saturates at 16 bits, this is where it would show.
        for (tensor_type, fill) in
            [(TensorType::Q8_0, 0x80), (TensorType::Q8_0, 0x7f), (TensorType::Q6_K, 0xff)]
        {
            let columns = 256;
            let mut raw = vec![fill; tensor_type.bytes_of(8 * columns).unwrap()];
            let one = half::f16::from_f32(1.0).to_le_bytes();
            for block in raw.chunks_exact_mut(tensor_type.block_bytes()) {
                let at = if tensor_type == TensorType::Q6_K { 208 } else { 0 };
                block[at..at + 2].copy_from_slice(&one);
            }
            let mut decoded = vec![0.0; 8 * columns];
            dequantise(tensor_type, &raw, &mut decoded);
            let matrix =
                Matrix::pack(&Pool::serial(), tensor_type, &raw, [8, columns], Precision::Int8)
                    .unwrap();
            for sign in [1.0, -1.0] {
                let x = vec![127.0 * sign; columns];
                let mut out = vec![0.0; 8];
                product(&x, 1, &matrix, &mut out);
                assert_close(&out, &reference(&x, 1, &decoded, columns, true), 1e-6);
            }
        }
    }
}
