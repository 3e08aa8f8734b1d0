//! Weights repacked for the kernels: codes of all rows, then their numbers, in up to three buffers.

use crate::buffers::Buffer;
use crate::recorder::Recorder;
use frontdesk_engine::backend::{MatrixSource, TensorType, decode_codes};
use frontdesk_engine::{Error, ErrorKind, Result};
use half::f16;

/// A weight matrix, `[rows, columns]`.
pub struct GpuMatrix {
    pub(crate) form: Form,
    pub(crate) columns: u32,
    /// Runs of its rows, one to three.
    pub(crate) parts: Vec<Part>,
}

/// Some rows of a matrix.
pub(crate) struct Part {
    pub(crate) buffer: Buffer,
    pub(crate) rows: u32,
    /// The vector of four words where the numbers begin.
    pub(crate) numbers: u32,
}

/// How weights are stored; the numbers are those of `weights.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Nibbles = 0,
    Bytes = 1,
    Bytes16 = 2,
    Halves = 3,
    Bfloats = 4,
    Singles = 5,
}

/// Most parts of a matrix.
pub(crate) const MOST_PARTS: usize = 3;

/// Columns that a thread reads at once.
const BLOCK: usize = 32;

/// Bytes of a file's matrix that are repacked at a time.
const RUN_BYTES: usize = 1 << 20;

/// Bytes that are uploaded before the device is told to take them.
const UPLOAD_BYTES: usize = 16 << 20;

impl Form {
    fn of(tensor_type: TensorType) -> Option<Self> {
        Some(match (tensor_type, tensor_type.codes()) {
            (_, Some((_, 0..=4))) => Form::Nibbles,
            (_, Some((16, _))) => Form::Bytes16,
            (_, Some(_)) => Form::Bytes,
            (TensorType::F16, None) => Form::Halves,
            (TensorType::BF16, None) => Form::Bfloats,
            (TensorType::F32, None) => Form::Singles,
            _ => return None,
        })
    }

    /// Whether its weights, once decoded, fit half precision: scales and minima have it, codes are whole numbers.
    pub(crate) fn fits_halves(self) -> bool {
        !matches!(self, Form::Bfloats | Form::Singles)
    }

    /// Bytes of a row's codes, and of its numbers.
    fn row_bytes(self, columns: usize) -> (usize, usize) {
        match self {
            Form::Nibbles => (columns / 2, columns / 8),
            Form::Bytes => (columns, columns / 8),
            Form::Bytes16 => (columns, columns / 4),
            Form::Halves | Form::Bfloats => (columns * 2, 0),
            Form::Singles => (columns * 4, 0),
        }
    }
}

impl GpuMatrix {
    /// Uploads a matrix of the file, a run of rows at a time.
    ///
    /// # Errors
    /// `UnsupportedModel` for columns that are no multiple of 32, `OutOfMemory` for a matrix that does not
    /// fit [`MOST_PARTS`] buffers of this device.
    pub(crate) fn load(recorder: &mut Recorder, source: MatrixSource<'_>) -> Result<Self> {
        let MatrixSource { tensor_type, shape: [rows, columns], source_row, unit, rows: reader } =
            source;
        if rows == 0 {
            return Err(Error::invalid_model("a matrix has no rows"));
        }
        let (form, file_bytes) = match (Form::of(tensor_type), tensor_type.bytes_of(columns)) {
            (Some(form), Some(bytes)) if columns % BLOCK == 0 && bytes > 0 => (form, bytes),
            _ => {
                let message =
                    format!("{tensor_type:?} rows of {columns} weights are not for the GPU");
                return Err(Error::new(ErrorKind::UnsupportedModel, message));
            }
        };
        let (code_bytes, number_bytes) = form.row_bytes(columns);
        let most = recorder.most_bytes();
        let most_rows =
            (most.saturating_sub(64) as usize / (code_bytes + number_bytes)) / unit * unit;
        if most_rows == 0 || rows.div_ceil(most_rows) > MOST_PARTS {
            let bytes = rows.saturating_mul(code_bytes + number_bytes);
            let message =
                format!("a matrix of {bytes} bytes; this GPU's may have {MOST_PARTS} times {most}");
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let step = (RUN_BYTES / file_bytes).next_multiple_of(unit).max(unit);
        let mut parts = Vec::new();
        let mut repacked = Repacked::default();
        for start in (0..rows).step_by(most_rows) {
            let part_rows = most_rows.min(rows - start);
            let numbers = (part_rows * code_bytes).next_multiple_of(16);
            let buffer = recorder.storage((numbers + part_rows * number_bytes) as u64)?;
            let mut uploaded = 0;
            for first in (start..start + part_rows).step_by(step) {
                let run = first..(first + step).min(start + part_rows);
                let raw = reader.read(run.clone())?;
                repacked.clear();
                for row in run {
                    let at = (source_row(row) - first) * file_bytes;
                    repacked.push(tensor_type, form, &raw[at..at + file_bytes], columns);
                }
                let row = first - start;
                recorder.write(&buffer, (row * code_bytes) as u64, &repacked.codes);
                if number_bytes > 0 {
                    let at = numbers + row * number_bytes;
                    recorder.write(&buffer, at as u64, &repacked.numbers);
                }
                uploaded += repacked.codes.len() + repacked.numbers.len();
                if uploaded > UPLOAD_BYTES {
                    recorder.drain();
                    uploaded = 0;
                }
            }
            parts.push(Part { buffer, rows: part_rows as u32, numbers: (numbers / 16) as u32 });
        }
        recorder.drain();
        Ok(Self { form, columns: columns as u32, parts })
    }
}

/// Rows on their way to the device.
#[derive(Default)]
struct Repacked {
    codes: Vec<u8>,
    numbers: Vec<u8>,
    /// One row, decoded.
    row_codes: Vec<u8>,
    row_numbers: Vec<[f32; 2]>,
}

impl Repacked {
    fn clear(&mut self) {
        self.codes.clear();
        self.numbers.clear();
    }

    fn push(&mut self, tensor_type: TensorType, form: Form, raw: &[u8], columns: usize) {
        let Some((group, _)) = tensor_type.codes() else {
            self.codes.extend_from_slice(raw);
            return;
        };
        self.row_codes.resize(columns, 0);
        self.row_numbers.resize(columns / group, [0.0; 2]);
        decode_codes(tensor_type, raw, &mut self.row_codes, &mut self.row_numbers);
        match form {
            // Byte b of a word: column 8 w + b in its low half, 8 w + 4 + b in its high half.
            Form::Nibbles => {
                self.codes.extend(self.row_codes.as_chunks::<8>().0.iter().flat_map(|codes| {
                    std::array::from_fn::<u8, 4, _>(|byte| codes[byte] | codes[byte + 4] << 4)
                }))
            }
            _ => self.codes.extend_from_slice(&self.row_codes),
        }
        for number in self.row_numbers.as_flattened() {
            self.numbers.extend_from_slice(&f16::from_f32(*number).to_le_bytes());
        }
    }
}
