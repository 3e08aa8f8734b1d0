//! Moves the tensors of a model file to a backend, each checked against the shape it must have.

use crate::backend::{Backend, MatrixSource, RowReader};
use crate::model_file::ModelFile;
use crate::model_header::Quoted;
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::PANEL_ROWS;
use frontdesk_kernels::quant::{TensorType, dequantise};
use std::io::{Read, Seek};
use std::ops::Range;

/// Told how many bytes of weights are loaded, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Biases and frequency tables would be computed with, were they known; ignoring them is wrong.
pub(crate) fn refuse_unknown<R: Read + Seek>(
    file: &ModelFile<R>,
    known: &[&str],
    layer_tensors: &[&str],
) -> Result<()> {
    let unknown = file.tensors().find(|entry| {
        let layer_part = entry.name.strip_prefix("blk.").and_then(|name| name.split_once('.'));
        let in_layer = layer_part.is_some_and(|(_, part)| layer_tensors.contains(&part));
        !in_layer && !known.contains(&entry.name.as_str())
    });
    match unknown {
        None => Ok(()),
        Some(entry) => Err(Error::new(
            ErrorKind::UnsupportedModel,
            format!("tensor '{}' has no place in the supported architectures", Quoted(&entry.name)),
        )),
    }
}

/// Reads the tensors of a file one after the other.
pub(crate) struct Loader<'a, R, B> {
    file: &'a mut ModelFile<R>,
    backend: &'a mut B,
    /// Bytes of the tensor at hand or of a part of it, reused.
    raw: Vec<u8>,
    progress: Progress<'a>,
    loaded: u64,
    total: u64,
}

impl<'a, R: Read + Seek, B: Backend> Loader<'a, R, B> {
    pub(crate) fn new(
        file: &'a mut ModelFile<R>,
        backend: &'a mut B,
        progress: Progress<'a>,
    ) -> Self {
        let total = file.tensors().map(|entry| entry.bytes as u64).sum();
        Self { file, backend, raw: Vec::new(), progress, loaded: 0, total }
    }

    /// Whether the file has a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }

    /// The number of weights, once every tensor of the file is loaded.
    ///
    /// # Errors
    /// `UnsupportedModel` when one is not: to ignore it would make the model silently wrong.
    pub(crate) fn finish(self) -> Result<u64> {
        if self.loaded != self.total {
            let message = "the file has tensors that its header gives no place to";
            return Err(Error::new(ErrorKind::UnsupportedModel, message));
        }
        Ok(self.file.tensors().map(|entry| entry.shape.iter().product::<usize>() as u64).sum())
    }

    /// The type of a tensor that has this shape.
    fn check(&self, name: &str, shape: &[usize]) -> Result<TensorType> {
        let entry = self
            .file
            .tensor(name)
            .ok_or_else(|| Error::invalid_model(format!("tensor '{name}' is missing")))?;
        if entry.shape != shape {
            let found = &entry.shape;
            let message = format!("tensor '{name}' has shape {found:?}, expected {shape:?}");
            return Err(Error::invalid_model(message));
        }
        Ok(entry.tensor_type)
    }

    /// Reads a tensor into `raw` after checking its shape.
    fn read(&mut self, name: &str, shape: &[usize]) -> Result<TensorType> {
        let tensor_type = self.check(name, shape)?;
        self.file.read_tensor(name, &mut self.raw)?;
        self.count();
        Ok(tensor_type)
    }

    /// Counts what was just read.
    fn count(&mut self) {
        self.loaded += self.raw.len() as u64;
        (self.progress)(self.loaded, self.total);
    }

    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<B::Vector> {
        let tensor_type = self.read(name, &[length])?;
        let mut values = vec![0.0; length];
        dequantise(tensor_type, &self.raw, &mut values);
        self.backend.vector(&values)
    }

    pub(crate) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<B::Matrix> {
        self.reordered_matrix(name, shape, (1, &|row| row))
    }

    /// A matrix whose row `r` is row `order.1(r)` of the file, out of the same run of `order.0` rows.
    pub(crate) fn reordered_matrix(
        &mut self,
        name: &str,
        shape: [usize; 2],
        (unit, source_row): (usize, &(dyn Fn(usize) -> usize + Sync)),
    ) -> Result<B::Matrix> {
        let tensor_type = self.check(name, &shape)?;
        let row_bytes = tensor_type.bytes_of(shape[1]).unwrap_or(0);
        let Self { file, backend, raw, progress, loaded, total } = self;
        let mut rows = TensorRows { file, raw, name, row_bytes, progress, loaded, total: *total };
        let unit = unit.max(1).saturating_mul(PANEL_ROWS);
        backend.matrix(MatrixSource { tensor_type, shape, source_row, unit, rows: &mut rows })
    }

    /// The first row of a matrix.
    pub(crate) fn first_row(&mut self, name: &str, columns: usize) -> Result<B::Vector> {
        let rows = match self.file.tensor(name).map(|entry| &entry.shape[..]) {
            Some(&[rows, _]) if rows > 0 => rows,
            _ => return Err(Error::invalid_model(format!("{name} is missing or not a matrix"))),
        };
        let tensor_type = self.read(name, &[rows, columns])?;
        let mut values = vec![0.0; columns];
        dequantise(tensor_type, &self.raw[..self.raw.len() / rows], &mut values);
        self.backend.vector(&values)
    }
}

/// The rows of one tensor, read in parts; told as progress.
struct TensorRows<'a, 'p, R> {
    file: &'a mut ModelFile<R>,
    raw: &'a mut Vec<u8>,
    name: &'a str,
    row_bytes: usize,
    progress: &'a mut Progress<'p>,
    loaded: &'a mut u64,
    total: u64,
}

impl<R: Read + Seek> RowReader for TensorRows<'_, '_, R> {
    fn read(&mut self, rows: Range<usize>) -> Result<&[u8]> {
        let bytes = rows.start * self.row_bytes..rows.end * self.row_bytes;
        self.file.read_part(self.name, bytes, self.raw)?;
        *self.loaded += self.raw.len() as u64;
        (self.progress)(*self.loaded, self.total);
        Ok(self.raw)
    }
}
