//! Opens a GGUF model file: bytes become typed metadata and named tensors, and a file that lies is refused.
//!
//! `model_header` first walks the header and measures everything in it; then candle-core parses
//! exactly those bytes; then the tensors are checked against the file: sizes, alignment, bounds
//! and overlaps. Weights are read only on demand, one tensor at a time.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo};
use frontdesk_kernels::quant::TensorType;

use crate::metadata::Metadata;
use crate::model_header::{HeaderFacts, Quoted, check_header, invalid, unreadable};
use crate::{Error, ErrorKind, Result};

/// An open model file whose header has been checked.
#[derive(Debug)]
pub struct ModelFile<R> {
    reader: R,
    metadata: Metadata,
    tensors: Vec<TensorEntry>,
    index: HashMap<String, usize>,
}

/// One tensor of a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// How the weights are stored.
    pub tensor_type: TensorType,
    /// Dimensions, outermost first: `[rows, columns]` for a matrix.
    pub shape: Vec<usize>,
    /// Where the data begins, in bytes from the start of the file.
    pub offset: u64,
    /// Length of the data.
    pub bytes: usize,
}

impl<R: Read + Seek> ModelFile<R> {
    /// Reads and checks the header; reads no weights.
    ///
    /// The file begins at position 0 of `reader`. Reads are buffered here, so `reader` need not be.
    pub fn open(mut reader: R) -> Result<Self> {
        let facts = check_header(&mut reader)?;
        let mut header = Vec::new();
        read_range(&mut reader, 0, facts.header_bytes, &mut header)?;
        let content = Content::read(&mut Cursor::new(header)).map_err(|cause| {
            // The walk accepts nothing that candle refuses, so its words are a last resort.
            invalid("the header cannot be parsed")
                .with_source(Quoted(&cause.to_string()).to_string())
        })?;
        let tensors = place_tensors(content.tensor_infos, content.tensor_data_offset, facts)?;
        let index = tensors
            .iter()
            .enumerate()
            .map(|(position, entry)| (entry.name.clone(), position))
            .collect();
        Ok(Self { reader, metadata: Metadata::new(content.metadata), tensors, index })
    }

    /// The key/value pairs of the header.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Every tensor, in the order of the file.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorEntry> {
        self.tensors.iter()
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.index.get(name).and_then(|&position| self.tensors.get(position))
    }

    /// Replaces the contents of `into` by the bytes of a tensor, exactly as the file has them.
    pub fn read_tensor(&mut self, name: &str, into: &mut Vec<u8>) -> Result<()> {
        let bytes = self.tensor(name).map_or(0, |entry| entry.bytes);
        self.read_part(name, 0..bytes, into)
    }

    /// As [`ModelFile::read_tensor`], a part of the bytes.
    pub fn read_part(&mut self, name: &str, bytes: Range<usize>, into: &mut Vec<u8>) -> Result<()> {
        let Some(entry) = self.tensor(name) else {
            return Err(invalid(format!("the file has no tensor '{}'", Quoted(name))));
        };
        if bytes.start > bytes.end || bytes.end > entry.bytes {
            return Err(invalid(format!("tensor '{}' has no such part", Quoted(name))));
        }
        let offset = entry.offset + bytes.start as u64;
        read_range(&mut self.reader, offset, bytes.len() as u64, into)
    }
}

/// Checks every tensor against the file and sorts them by offset.
fn place_tensors(
    infos: HashMap<String, TensorInfo>,
    data_offset: u64,
    facts: HeaderFacts,
) -> Result<Vec<TensorEntry>> {
    // Sorted before anything is checked, so that the same file always gives the same error.
    let mut infos: Vec<_> = infos.into_iter().collect();
    infos.sort_unstable_by(|a, b| (a.1.offset, &a.0).cmp(&(b.1.offset, &b.0)));

    let mut tensors: Vec<TensorEntry> = Vec::with_capacity(infos.len());
    for (name, info) in infos {
        let entry = place_tensor(name, &info, data_offset, facts)?;
        if let Some(previous) = tensors.last()
            && previous.offset + previous.bytes as u64 > entry.offset
        {
            return Err(invalid(format!(
                "the data of tensors '{}' and '{}' overlap",
                Quoted(&previous.name),
                Quoted(&entry.name)
            )));
        }
        tensors.push(entry);
    }
    Ok(tensors)
}

/// Checks that one tensor's size is sane and that its data lies inside the file.
fn place_tensor(
    name: String,
    info: &TensorInfo,
    data_offset: u64,
    facts: HeaderFacts,
) -> Result<TensorEntry> {
    let refuse = |why: String| Err(invalid(format!("tensor '{}' {why}", Quoted(&name))));
    let Some(tensor_type) = tensor_type_of(info.ggml_dtype) else {
        return refuse(format!("has the unsupported type {:?}", info.ggml_dtype));
    };
    let shape = info.shape.dims();
    let (block_len, columns) = (tensor_type.block_len(), shape.last().copied().unwrap_or(0));
    if !columns.is_multiple_of(block_len) {
        return refuse(format!(
            "has rows of {columns} weights, which is not a multiple of the {block_len} weights of a {tensor_type:?} block"
        ));
    }
    let Some(bytes) = stored_bytes(tensor_type, shape) else {
        return refuse(format!("has dimensions {shape:?}, whose product is too large"));
    };
    if !info.offset.is_multiple_of(facts.alignment) {
        return refuse(format!(
            "begins at offset {}, which is not a multiple of the alignment {}",
            info.offset, facts.alignment
        ));
    }
    let range = data_offset
        .checked_add(info.offset)
        .and_then(|begin| Some((begin, begin.checked_add(bytes as u64)?)));
    match range {
        Some((offset, end)) if end <= facts.file_bytes => {
            Ok(TensorEntry { name, tensor_type, shape: shape.to_vec(), offset, bytes })
        }
        _ => refuse(format!(
            "lies past the end of the file: {bytes} bytes at offset {} of the data, in a file of {} bytes",
            info.offset, facts.file_bytes
        )),
    }
}

/// Bytes of a tensor in the file, unless the number of weights or bytes overflows.
fn stored_bytes(tensor_type: TensorType, shape: &[usize]) -> Option<usize> {
    let weights = shape.iter().try_fold(1_usize, |product, &next| product.checked_mul(next))?;
    (weights / tensor_type.block_len()).checked_mul(tensor_type.block_bytes())
}

/// Our name for candle's; the header walk lets no other type through.
fn tensor_type_of(candle_type: GgmlDType) -> Option<TensorType> {
    Some(match candle_type {
        GgmlDType::F32 => TensorType::F32,
        GgmlDType::F16 => TensorType::F16,
        GgmlDType::BF16 => TensorType::BF16,
        GgmlDType::Q4_0 => TensorType::Q4_0,
        GgmlDType::Q4_1 => TensorType::Q4_1,
        GgmlDType::Q5_0 => TensorType::Q5_0,
        GgmlDType::Q5_1 => TensorType::Q5_1,
        GgmlDType::Q8_0 => TensorType::Q8_0,
        GgmlDType::Q4K => TensorType::Q4_K,
        GgmlDType::Q5K => TensorType::Q5_K,
        GgmlDType::Q6K => TensorType::Q6_K,
        _ => return None,
    })
}

/// Replaces the contents of `into` by `count` bytes of the file, which the caller has found to be there.
fn read_range<R: Read + Seek>(
    reader: &mut R,
    offset: u64,
    count: u64,
    into: &mut Vec<u8>,
) -> Result<()> {
    let no_memory = |cause| {
        Error::new(ErrorKind::OutOfMemory, format!("no memory for {count} bytes of the model file"))
            .with_source(cause)
    };
    into.clear();
    into.try_reserve_exact(usize::try_from(count).unwrap_or(usize::MAX)).map_err(no_memory)?;
    reader.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    let read = reader.by_ref().take(count).read_to_end(into).map_err(unreadable)?;
    if read as u64 != count {
        return Err(Error::new(
            ErrorKind::Io,
            format!("the model file is shorter than it was: {count} bytes at byte {offset}"),
        ));
    }
    Ok(())
}
