//! Weights repacked for the kernels: panels of 8 rows, interleaved so that lanes are rows.
//!
//! Quantised panels lie together in strips, as many as a product with one token reads at once, so that it
//! reads one stream of memory. A strip is groups of 16 or 32 columns: the codes of all its panels, then 8
//! scales of each panel, then 8 minima of each where the format has them, in half precision. Codes come in runs of a few
//! columns, each of panel 0, of panel 1, and so on; a panel's run holds the codes of row 0, of row 1, ... of
//! row 7. How many columns a run has and how 4-bit codes share bytes is what the target's dot product likes.
//! Float panels are `[column, 8 rows]`. Missing rows and panels are zero.

use crate::arch::{self, NIBBLE_COLUMNS, STEP, STREAMS, Wide};
use crate::halves;
use crate::pool::Pool;
use crate::quant::{Decoded, Format, TensorType, dequantise};
use crate::{ACTIVATION_BLOCK, PANEL_ROWS, try_zeros};
use std::collections::TryReserveError;
use std::fmt;
use std::ops::Range;
use wide::f32x4;

/// What the products with a matrix are computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// Weights as stored, activations as 8-bit codes: the fast path.
    #[default]
    Int8,
    /// Weights decoded to single precision, activations untouched: the exact path.
    Float32,
}

/// Why a matrix could not be packed.
#[derive(Debug)]
pub enum PackError {
    /// The bytes do not describe a matrix of the given shape.
    Shape {
        /// Encoding of the bytes.
        tensor_type: TensorType,
        /// Rows and columns asked for.
        shape: [usize; 2],
        /// Bytes given.
        bytes: usize,
    },
    /// Memory does not suffice.
    Memory(TryReserveError),
}

impl fmt::Display for PackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape { tensor_type, shape: [rows, columns], bytes } => {
                write!(
                    formatter,
                    "{bytes} bytes of {tensor_type:?} are no {rows} x {columns} matrix"
                )
            }
            Self::Memory(_) => formatter.write_str("not enough memory for a matrix"),
        }
    }
}

impl std::error::Error for PackError {}

impl From<TryReserveError> for PackError {
    fn from(error: TryReserveError) -> Self {
        Self::Memory(error)
    }
}

/// A weight matrix, `[rows, columns]`, ready for products with rows of activations.
pub struct Matrix {
    tensor_type: TensorType,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) storage: Storage,
}

pub(crate) enum Storage {
    /// `[panel, column, 8]`.
    Float(Vec<f32>),
    Quantised(Quantised),
}

pub(crate) struct Quantised {
    layout: Layout,
    /// `[strip, group, STREAMS * group_bytes]`.
    bytes: Vec<u8>,
}

/// How the groups of panels are stored.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Columns that share a scale: 16 or 32.
    pub(crate) group: usize,
    /// How codes are stored.
    pub(crate) form: Form,
    /// Subtracted from every code; formats with an offset have no minima.
    pub(crate) offset: i32,
    has_minima: bool,
}

/// Panels that lie together.
#[derive(Clone, Copy)]
pub(crate) struct Strip<'a> {
    /// Index of the first panel.
    pub(crate) first: usize,
    pub(crate) layout: Layout,
    bytes: &'a [u8],
}

/// The same columns of all panels of a strip.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    layout: Layout,
    /// Runs of codes, of each panel in turn.
    pub(crate) codes: &'a [u8],
    numbers: &'a [halves::Eight],
}

/// Rows of a strip.
pub(crate) const STRIP_ROWS: usize = PANEL_ROWS * STREAMS;
/// Bytes of 8 scales or minima.
const SCALES_BYTES: usize = size_of::<halves::Eight>();

/// How codes are stored, and so how they go through the dot product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Two a byte.
    Nibbles,
    /// One a byte, which the dot product takes whole.
    Bytes,
    /// One a byte, with its sign.
    SignedBytes,
    /// One a byte, which the dot product takes in halves.
    Halves,
}

impl Form {
    fn of(format: &Format) -> Self {
        match format.code_bits {
            ..=4 => Self::Nibbles,
            5..=7 => Self::Bytes,
            _ => match arch::wide() {
                Wide::Unsigned => Self::Bytes,
                Wide::Signed => Self::SignedBytes,
                Wide::Halves => Self::Halves,
            },
        }
    }
}

impl Matrix {
    /// Repacks `raw`, `rows * columns` weights of `tensor_type`, row by row.
    ///
    /// # Errors
    /// [`PackError`] when the bytes do not match the shape or memory does not suffice.
    pub fn pack(
        pool: &Pool,
        tensor_type: TensorType,
        raw: &[u8],
        shape: [usize; 2],
        precision: Precision,
    ) -> Result<Self, PackError> {
        let mut matrix = Self::zeros(tensor_type, shape, precision)?;
        if matrix.row_bytes() * shape[0] != raw.len() {
            return Err(matrix.shape_error(raw.len()));
        }
        matrix.fill(pool, 0, raw, |row| row)?;
        Ok(matrix)
    }

    /// Makes room for `[rows, columns]` weights that the file keeps as `tensor_type`.
    ///
    /// # Errors
    /// [`PackError`] for a shape that the type cannot have, or when memory does not suffice.
    pub fn zeros(
        tensor_type: TensorType,
        [rows, columns]: [usize; 2],
        precision: Precision,
    ) -> Result<Self, PackError> {
        let row_bytes = tensor_type.bytes_of(columns).filter(|&bytes| bytes > 0);
        if rows == 0 || row_bytes.and_then(|bytes| bytes.checked_mul(rows)).is_none() {
            return Err(PackError::Shape { tensor_type, shape: [rows, columns], bytes: 0 });
        }
        let storage = match (tensor_type.format(), precision) {
            (Some(format), Precision::Int8) if columns % ACTIVATION_BLOCK == 0 => {
                Storage::Quantised(Quantised::zeros(format, [rows, columns])?)
            }
            _ => {
                let length = rows.next_multiple_of(PANEL_ROWS).saturating_mul(columns);
                Storage::Float(try_zeros(length)?)
            }
        };
        Ok(Self { tensor_type, rows, columns, storage })
    }

    /// Repacks some rows from the file's bytes, as many as `raw` holds; `first` is a multiple of 8.
    ///
    /// Row `first + r` of the matrix is row `source_row(first + r) - first` of `raw`.
    ///
    /// # Errors
    /// [`PackError`] when the bytes are no whole rows or too many.
    pub fn fill(
        &mut self,
        pool: &Pool,
        first: usize,
        raw: &[u8],
        source_row: impl Fn(usize) -> usize + Sync,
    ) -> Result<(), PackError> {
        let row_bytes = self.row_bytes();
        let (count, columns) = (raw.len() / row_bytes, self.columns);
        let fits = first.checked_add(count).is_some_and(|end| end <= self.rows);
        if !raw.len().is_multiple_of(row_bytes) || !first.is_multiple_of(PANEL_ROWS) || !fits {
            return Err(self.shape_error(raw.len()));
        }
        let tensor_type = self.tensor_type;
        let row =
            |index: usize| &raw[(source_row(first + index) - first) * row_bytes..][..row_bytes];
        match (&mut self.storage, tensor_type.format()) {
            (Storage::Quantised(quantised), Some(format)) => {
                quantised.fill(pool, first..first + count, columns, |index, strip, place| {
                    strip.put_row(place, tensor_type, format, row(index - first));
                });
            }
            (Storage::Float(values), _) => {
                let panel = columns * PANEL_ROWS;
                let end = (first + count).div_ceil(PANEL_ROWS) * panel;
                let values = &mut values[first / PANEL_ROWS * panel..end];
                pool.each_chunk(values, panel, |index, lanes| {
                    let mut decoded = vec![0.0; columns];
                    for lane in 0..PANEL_ROWS.min(count - index * PANEL_ROWS) {
                        dequantise(tensor_type, row(index * PANEL_ROWS + lane), &mut decoded);
                        let lanes = lanes.as_chunks_mut::<PANEL_ROWS>().0.iter_mut();
                        lanes.zip(&decoded).for_each(|(lanes, value)| lanes[lane] = *value);
                    }
                });
            }
            (Storage::Quantised(_), None) => {}
        }
        Ok(())
    }

    /// Bytes of a row in the file; not zero.
    pub fn row_bytes(&self) -> usize {
        self.tensor_type.bytes_of(self.columns).unwrap_or(1).max(1)
    }

    fn shape_error(&self, bytes: usize) -> PackError {
        PackError::Shape { tensor_type: self.tensor_type, shape: [self.rows, self.columns], bytes }
    }

    /// Rows: the width of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: the width of the activations.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether products want quantised activations.
    pub fn is_quantised(&self) -> bool {
        matches!(self.storage, Storage::Quantised(_))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::Float(values) => values.len() * 4,
            Storage::Quantised(quantised) => quantised.bytes.len(),
        }
    }

    /// Decodes one row, as an embedding table does.
    ///
    /// # Panics
    /// When `row` is out of range or `out` is not `columns` long.
    pub fn decode_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        assert_eq!(out.len(), self.columns);
        match &self.storage {
            Storage::Float(values) => {
                let (panel, lane) = (row / PANEL_ROWS, row % PANEL_ROWS);
                let panel = &values[panel * self.columns * PANEL_ROWS..];
                for (value, lanes) in out.iter_mut().zip(panel.as_chunks::<PANEL_ROWS>().0) {
                    *value = lanes[lane];
                }
            }
            Storage::Quantised(quantised) => {
                quantised.decode_row(row, self.columns, out);
            }
        }
    }
}

impl Layout {
    fn of(format: &Format) -> Self {
        let form = Form::of(format);
        let offset = if form == Form::SignedBytes { 0 } else { format.offset };
        Self { group: format.group, form, offset, has_minima: format.offset == 0 }
    }

    /// Bytes of a group's codes.
    #[inline(always)]
    pub(crate) fn code_bytes(&self) -> usize {
        self.group * PANEL_ROWS / if self.form == Form::Nibbles { 2 } else { 1 }
    }

    /// Bytes of a group: codes, scales and minima.
    #[inline(always)]
    pub(crate) fn group_bytes(&self) -> usize {
        self.code_bytes() + SCALES_BYTES * if self.has_minima { 2 } else { 1 }
    }

    fn strip_bytes(&self, columns: usize) -> usize {
        columns / self.group * self.group_bytes() * STREAMS
    }

    /// Bytes of a panel's run of codes.
    #[inline(always)]
    fn run_bytes(&self) -> usize {
        if self.form == Form::Nibbles { 4 * PANEL_ROWS } else { STEP * PANEL_ROWS }
    }

    /// Where a byte of a panel's codes lies among those of its strip.
    #[inline(always)]
    fn in_strip(&self, panel: usize, at: usize) -> usize {
        let run = self.run_bytes();
        (at / run * STREAMS + panel) * run + at % run
    }
}

impl<'a> Strip<'a> {
    /// The groups of all columns.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = Group<'a>> {
        let layout = self.layout;
        self.bytes.chunks_exact(layout.group_bytes() * STREAMS).map(move |bytes| {
            let (codes, numbers) = bytes.split_at(layout.code_bytes() * STREAMS);
            Group { layout, codes, numbers: numbers.as_chunks().0 }
        })
    }
}

impl<'a> Group<'a> {
    /// A panel's runs of codes.
    pub(crate) fn runs(&self, panel: usize) -> impl Iterator<Item = &'a [u8]> {
        self.codes.chunks_exact(self.layout.run_bytes()).skip(panel).step_by(STREAMS)
    }

    /// A panel's 8 scales and minima; a format with an offset has the minimum `-offset * scale`.
    pub(crate) fn numbers(&self, panel: usize) -> [[f32x4; 2]; 2] {
        let scales = self.scales(panel);
        let of_offset = || scales.map(|x| x * f32x4::splat(-self.layout.offset as f32));
        [scales, self.minima(panel).unwrap_or_else(of_offset)]
    }

    /// A panel's 8 scales.
    #[inline(always)]
    pub(crate) fn scales(&self, panel: usize) -> [f32x4; 2] {
        halves::load(&self.numbers[panel])
    }

    /// A panel's 8 minima, where the format has them.
    #[inline(always)]
    pub(crate) fn minima(&self, panel: usize) -> Option<[f32x4; 2]> {
        self.numbers.get(STREAMS + panel).map(halves::load)
    }
}

impl Quantised {
    fn zeros(format: &Format, [rows, columns]: [usize; 2]) -> Result<Self, TryReserveError> {
        let layout = Layout::of(format);
        let length = rows.div_ceil(STRIP_ROWS).saturating_mul(layout.strip_bytes(columns));
        Ok(Self { layout, bytes: try_zeros(length)? })
    }

    /// One strip.
    pub(crate) fn strip(&self, columns: usize, index: usize) -> Strip<'_> {
        let length = self.layout.strip_bytes(columns);
        let bytes = &self.bytes[index * length..][..length];
        Strip { first: index * STREAMS, layout: self.layout, bytes }
    }

    /// Calls `put` with each of the rows, its strip and its place there.
    fn fill(
        &mut self,
        pool: &Pool,
        rows: Range<usize>,
        columns: usize,
        put: impl Fn(usize, &mut StripMut<'_>, usize) + Sync,
    ) {
        let layout = self.layout;
        let length = layout.strip_bytes(columns);
        let strips = rows.start / STRIP_ROWS..rows.end.div_ceil(STRIP_ROWS);
        let bytes = &mut self.bytes[strips.start * length..strips.end * length];
        pool.each_chunk(bytes, length, |index, bytes| {
            let mut strip = StripMut { layout, bytes };
            let first = (strips.start + index) * STRIP_ROWS;
            for row in rows.start.max(first)..rows.end.min(first + STRIP_ROWS) {
                put(row, &mut strip, row - first);
            }
        });
    }

    fn decode_row(&self, row: usize, columns: usize, out: &mut [f32]) {
        let strip = self.strip(columns, row / STRIP_ROWS);
        let (panel, lane) = (row % STRIP_ROWS / PANEL_ROWS, row % PANEL_ROWS);
        let layout = self.layout;
        for (group, out) in strip.groups().zip(out.chunks_exact_mut(layout.group)) {
            let [scales, minima] = group.numbers(panel);
            let number = |numbers: [f32x4; 2]| numbers[lane / 4].to_array()[lane % 4];
            let scale = number(scales);
            let minimum = if layout.has_minima { number(minima) } else { 0.0 };
            for (column, value) in out.iter_mut().enumerate() {
                let (at, shift) = layout.form.place(column, lane);
                let byte = group.codes[layout.in_strip(panel, at)];
                let code = match layout.form {
                    Form::Nibbles => i32::from((byte >> shift) & 0x0f),
                    Form::SignedBytes => i32::from(byte as i8),
                    Form::Bytes | Form::Halves => i32::from(byte),
                };
                *value = scale * (code - layout.offset) as f32 + minimum;
            }
        }
    }
}

impl Form {
    /// Where a code lies in its group: which byte, and by how much it is shifted.
    #[inline(always)]
    fn place(self, column: usize, lane: usize) -> (usize, u32) {
        if self == Self::Nibbles {
            let (byte, shift) = arch::nibble_place(column % NIBBLE_COLUMNS);
            ((column / NIBBLE_COLUMNS * PANEL_ROWS + lane) * 4 + byte, shift)
        } else {
            ((column / STEP * PANEL_ROWS + lane) * STEP + column % STEP, 0)
        }
    }
}

/// One strip on its way; what is not filled yet is zero.
struct StripMut<'a> {
    layout: Layout,
    bytes: &'a mut [u8],
}

impl StripMut<'_> {
    /// Stores a row of the file as the one at `place`.
    fn put_row(&mut self, place: usize, tensor_type: TensorType, format: &Format, row: &[u8]) {
        let layout = self.layout;
        let (panel, lane) = (place / PANEL_ROWS, place % PANEL_ROWS);
        let mut decoded = Decoded::new();
        let per_block = tensor_type.block_len() / layout.group;
        let blocks = row.chunks_exact(tensor_type.block_bytes());
        let groups = self.bytes.chunks_exact_mut(per_block * layout.group_bytes() * STREAMS);
        for (raw, groups) in blocks.zip(groups) {
            (format.decode)(raw, &mut decoded);
            let groups = groups.chunks_exact_mut(layout.group_bytes() * STREAMS);
            let codes = decoded.codes.chunks_exact(layout.group);
            for (index, (group, codes)) in groups.zip(codes).enumerate() {
                let (into, numbers) = group.split_at_mut(layout.code_bytes() * STREAMS);
                put_codes(layout, [panel, lane], codes, into);
                let numbers = numbers.as_chunks_mut().0;
                halves::put(&mut numbers[panel], lane, decoded.scales[index]);
                if let Some(minima) = numbers.get_mut(STREAMS + panel) {
                    halves::put(minima, lane, decoded.mins[index]);
                }
            }
        }
    }
}

/// Stores the codes of one row of a group.
fn put_codes(layout: Layout, [panel, lane]: [usize; 2], codes: &[u8], into: &mut [u8]) {
    let flip = if layout.form == Form::SignedBytes { 0x80 } else { 0 };
    for (column, code) in codes.iter().enumerate() {
        let (at, shift) = layout.form.place(column, lane);
        into[layout.in_strip(panel, at)] |= (code ^ flip) << shift;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::test_data::{assert_close, random_bytes};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Raw blocks whose half-precision scales are small and finite.
    pub(crate) fn random_tensor(tensor_type: TensorType, weights: usize) -> Vec<u8> {
        let mut raw = random_bytes(tensor_type.bytes_of(weights).unwrap(), weights as u64);
        let scale = half::f16::from_f32(0.03).to_le_bytes();
        for (index, block) in raw.chunks_exact_mut(tensor_type.block_bytes()).enumerate() {
            match tensor_type {
                TensorType::F32 => {
                    block.copy_from_slice(&((index % 17) as f32 / 8.0 - 1.0).to_le_bytes());
                }
                TensorType::F16 | TensorType::BF16 => {
                    let value = (index % 17) as f32 / 8.0 - 1.0;
                    let bits = if tensor_type == TensorType::F16 {
                        half::f16::from_f32(value).to_bits()
                    } else {
                        half::bf16::from_f32(value).to_bits()
                    };
                    block.copy_from_slice(&bits.to_le_bytes());
                }
                TensorType::Q6_K => block[208..210].copy_from_slice(&scale),
                _ => {
                    block[0..2].copy_from_slice(&scale);
                    if tensor_type.format().unwrap().offset == 0 {
                        block[2..4].copy_from_slice(&scale);
                    }
                }
            }
        }
        raw
    }

    #[test]
    fn packed_rows_decode_to_what_the_file_says() {
        for tensor_type in TensorType::ALL {
            for (rows, columns) in [(8, 256), (11, 512), (1, 256)] {
                let raw = random_tensor(tensor_type, rows * columns);
                let mut expected = vec![0.0; rows * columns];
                dequantise(tensor_type, &raw, &mut expected);
                for precision in [Precision::Int8, Precision::Float32] {
                    let matrix = Matrix::pack(
                        &Pool::serial(),
                        tensor_type,
                        &raw,
                        [rows, columns],
                        precision,
                    )
                    .unwrap();
                    let mut row = vec![0.0; columns];
                    for index in 0..rows {
                        matrix.decode_row(index, &mut row);
                        let expected = &expected[index * columns..][..columns];
                        // Scales that the format has in two parts are rounded to half precision.
                        let in_parts = matches!(
                            tensor_type,
                            TensorType::Q4_K | TensorType::Q5_K | TensorType::Q6_K
                        );
                        if in_parts && precision == Precision::Int8 {
                            assert_close(&row, expected, 3e-3);
                        } else {
                            assert_eq!(row, expected, "{tensor_type:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for (bytes, shape) in
            [(17, [1, 32]), (18, [1, 31]), (18, [2, 32]), (0, [0, 32]), (0, [1, 0])]
        {
            let raw = vec![0; bytes];
            assert!(
                Matrix::pack(&Pool::serial(), TensorType::Q4_0, &raw, shape, Precision::Int8)
                    .is_err()
            );
        }
    }
}
