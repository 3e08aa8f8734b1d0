//! Products with weight matrices: one fused kernel for a token alone, tiles for several.

use crate::backend::Gpu;
use crate::buffers::{Buffer, GpuTensor, GpuVector};
use crate::kernels::Kernel;
use crate::matrix::{Form, GpuMatrix, MOST_PARTS, Part};
use crate::recorder::Call;
use frontdesk_engine::Result;
use frontdesk_engine::backend::Activation;

/// No bias.
const NONE: u32 = u32::MAX;

/// What becomes of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is stored after its bias and activation.
    Store = 0,
    /// It is added to what is there.
    Add = 1,
    /// The activation of the first matrix's is multiplied with the second's.
    Gate = 2,
}

/// A matrix, its bias, and the number in the output where its rows begin.
pub(crate) type Product<'a> = (&'a GpuMatrix, Option<GpuVector>, u32);

/// A norm's weight and epsilon.
pub(crate) type Norm = Option<(GpuVector, f32)>;

/// Where products go.
pub(crate) struct Output<'a> {
    pub(crate) buffer: &'a Buffer,
    pub(crate) mode: Mode,
    pub(crate) activation: Option<Activation>,
}

/// The kernels' number of an activation.
pub(crate) fn activation_number(activation: Option<Activation>) -> u32 {
    match activation {
        None => 0,
        Some(Activation::Silu) => 1,
        Some(Activation::GeluTanh) => 2,
        Some(Activation::GeluErf) => 3,
    }
}

/// A part of a matrix in a dispatch.
struct Piece<'a> {
    part: &'a Part,
    form: Form,
    output: u32,
    bias: u32,
}

fn pieces<'a>(&(matrix, bias, output): &Product<'a>) -> impl Iterator<Item = Piece<'a>> {
    let mut row = 0;
    matrix.parts.iter().map(move |part| {
        let bias = bias.map_or(NONE, |bias| bias.start + row);
        let piece = Piece { part, form: matrix.form, output: output + row, bias };
        row += part.rows;
        piece
    })
}

impl Gpu {
    /// The product of one token's row; a norm and a pending update of `x` are part of the kernel.
    pub(crate) fn project_one(
        &mut self,
        x: &mut GpuTensor,
        norm: Norm,
        products: &[Product<'_>],
        out: &Output<'_>,
    ) {
        let parts: Vec<Piece<'_>> = products.iter().flat_map(pieces).collect();
        let fits = match out.mode {
            Mode::Gate => parts.len() == 2,
            _ => parts.len() <= MOST_PARTS,
        };
        if !fits {
            self.settle(x, 1);
            products.iter().for_each(|product| self.project_one(x, norm, &[*product], out));
            return;
        }
        let piece = |index: usize| parts.get(index).unwrap_or(&parts[0]);
        let rows = |index: usize| parts.get(index).map_or(0, |piece| piece.part.rows);
        let [a, b, c] = [piece(0), piece(1), piece(2)];
        let columns = products[0].0.columns;
        let update = x.pending.take();
        let sum = match update {
            Some(_) => self.spare(x),
            None => self.unused.clone(),
        };
        let (norm_start, epsilon) = norm.map_or((0, 0.0), |(w, epsilon)| (w.fourth(), epsilon));
        let (update_start, update_epsilon) =
            update.map_or((0, 0.0), |update| (update.weight.fourth(), update.epsilon));
        let site = [
            [rows(0), rows(1), rows(2), 0],
            [a.part.numbers, b.part.numbers, c.part.numbers, 0],
            [a.output, b.output, c.output, 0],
            [a.bias, b.bias, c.bias, 0],
            [norm_start, update_start, epsilon.to_bits(), update_epsilon.to_bits()],
        ];
        let vectors = self.vectors();
        let added = if update.is_some() { self.update.buffer(&self.unused) } else { &x.buffer };
        // Lanes of a subgroup sum without workgroup memory.
        let subgroup = self.recorder.device.report.subgroup.filter(|_| !self.is_alone);
        let [slots, lanes, slot_rows] = match (self.is_alone, subgroup) {
            (true, _) => [4, 1, 8],
            (false, Some(4..=7)) => [16, 4, 2],
            (false, _) => [8, 8, 2],
        };
        let groups = match out.mode {
            Mode::Gate => rows(0).div_ceil(slot_rows / 2),
            _ => (0..MOST_PARTS).map(|index| rows(index).div_ceil(slot_rows)).sum::<u32>(),
        }
        .div_ceil(slots);
        let wide = groups.min(MOST_GROUPS);
        self.recorder.dispatch(&Call {
            kernel: Kernel::ProjectOne,
            constants: &[
                columns,
                a.form as u32,
                b.form as u32,
                c.form as u32,
                parts.len() as u32,
                out.mode as u32,
                u32::from(norm.is_some()),
                u32::from(update.is_some()),
                activation_number(out.activation),
                slots,
                lanes,
                slot_rows,
                u32::from(subgroup.is_some()),
            ],
            buffers: &[
                &a.part.buffer,
                &b.part.buffer,
                &c.part.buffer,
                &x.buffer,
                added,
                &vectors,
                out.buffer,
                &sum,
            ],
            site: site.as_flattened(),
            grid: [wide, groups.div_ceil(wide), 1],
        });
        if update.is_some() {
            x.spare = Some(std::mem::replace(&mut x.buffer, sum));
        }
    }

    /// Rows of several tokens, `[tokens, columns]`, already normalised, for products with these matrices.
    ///
    /// # Errors
    /// `OutOfMemory` where the device has no room for them in 8 bits.
    pub(crate) fn rows<'a>(
        &mut self,
        (singles, tokens): (Buffer, u32),
        mut matrices: impl Iterator<Item = &'a GpuMatrix>,
    ) -> Result<Rows> {
        let Some(matrix) = matrices.find(|matrix| self.is_alone && matrix.form == Form::Nibbles)
        else {
            return Ok(Rows { singles, pairs: None, tokens });
        };
        let (pairs_of_tokens, blocks) = (tokens.div_ceil(2), matrix.columns / 32);
        let words = (pairs_of_tokens * blocks) as usize * WORDS_OF_PAIR;
        let pairs = self.pairs.room(&mut self.recorder, words)?;
        self.recorder.dispatch(&Call {
            kernel: Kernel::Quantise,
            constants: &[blocks],
            buffers: &[&singles, &pairs],
            site: &[tokens],
            grid: [blocks.div_ceil(4), pairs_of_tokens, 1],
        });
        Ok(Rows { singles, pairs: Some(pairs), tokens })
    }

    /// The product of several rows.
    pub(crate) fn project_many(
        &mut self,
        rows: &Rows,
        product: Product<'_>,
        stride: u32,
        out: &Output<'_>,
    ) {
        let vectors = self.vectors();
        let matrix = product.0;
        let report = &self.recorder.device.report;
        let keeps_halves = u32::from(report.has_halves && matrix.form.fits_halves());
        let has_subgroups = u32::from(report.subgroup.is_some());
        let alone_rows = ALONE_ROWS * 4;
        let (kernel, x, [large_tile, small_tile, group_rows]) = match &rows.pairs {
            Some(pairs) if matrix.form == Form::Nibbles => {
                (Kernel::ProjectPairs, pairs, [24, 8, alone_rows])
            }
            _ if self.is_alone => (Kernel::ProjectAlone, &rows.singles, [16, 4, alone_rows]),
            _ => (Kernel::ProjectMany, &rows.singles, [64, 16, 64]),
        };
        // Whole large tiles, and the rest in small ones, or in one more where that is half full: small ones load as
        // many weights.
        let tokens = rows.tokens;
        let rest = tokens % large_tile;
        let large = tokens / large_tile + u32::from(rest > large_tile / 2);
        let left = tokens.saturating_sub(large * large_tile);
        let tiles =
            [(large_tile, 0, large), (small_tile, large * large_tile, left.div_ceil(small_tile))];
        let [form, mode, activation] =
            [matrix.form as u32, out.mode as u32, activation_number(out.activation)];
        for piece in pieces(&product) {
            let Part { buffer, rows: part_rows, numbers } = piece.part;
            let fours = part_rows.is_multiple_of(group_rows)
                && piece.output.is_multiple_of(4)
                && stride.is_multiple_of(4);
            for (tile, first, count) in tiles.into_iter().filter(|(.., count)| *count > 0) {
                let [fifth, sixth, seventh] = match kernel {
                    Kernel::ProjectPairs => [ALONE_ROWS, u32::from(fours), has_subgroups],
                    Kernel::ProjectAlone => [ALONE_ROWS, 0, 0],
                    _ => [matrix.columns, keeps_halves, 0],
                };
                let blocks = matrix.columns / 32;
                let site =
                    [first, tokens, *part_rows, *numbers, piece.output, stride, piece.bias, blocks];
                self.recorder.dispatch(&Call {
                    kernel,
                    constants: &[form, mode, activation, tile, fifth, sixth, seventh],
                    buffers: &[buffer, x, &vectors, out.buffer],
                    site: &site,
                    grid: [part_rows.div_ceil(group_rows), count, 1],
                });
            }
        }
    }
}

/// Rows of several tokens; in 8 bits too, two tokens in a word, where threads are alone and weights have 4 bits.
pub(crate) struct Rows {
    singles: Buffer,
    pairs: Option<Buffer>,
    tokens: u32,
}

/// Words of 32 columns of two tokens: their activations, scales and scaled sums.
const WORDS_OF_PAIR: usize = 20;

/// Rows of a thread that computes alone.
const ALONE_ROWS: u32 = 16;

/// Most workgroups of a grid's side.
pub(crate) const MOST_GROUPS: u32 = 65_535;
