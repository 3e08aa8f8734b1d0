//! Walks the header of a GGUF file before candle parses it, and refuses every header that lies.
//!
//! candle-core allocates by the lengths a file declares and multiplies by the alignment it names;
//! so nothing reaches it that has not been measured here. The walk holds one scratch string and
//! the names seen so far, and never allocates by a number that the file merely claims.

use std::collections::HashSet;
use std::fmt;
use std::io::{BufReader, Read, Seek, SeekFrom};

use crate::{Error, ErrorKind, Result};

/// Most tensors one file may declare; the largest models in use have a few thousand.
const MAX_TENSORS: u64 = 65_536;
/// Most metadata entries one file may declare; files in use have about forty.
const MAX_METADATA_ENTRIES: u64 = 65_536;
/// Longest metadata key, as the GGUF specification has it.
const MAX_KEY_BYTES: u64 = 65_535;
/// Longest string value; the longest in use are chat templates of some 100 KB.
const MAX_STRING_BYTES: u64 = 16 << 20;
/// Longest tensor name; ggml itself allows 64 bytes.
const MAX_TENSOR_NAME_BYTES: u64 = 256;
/// Most elements of all arrays together; a vocabulary of 262,144 needs 786,432. It bounds memory:
/// candle spends 32 bytes on an element that may take one byte of the file.
const MAX_ARRAY_ELEMENTS: u64 = 1 << 21;
/// Most dimensions of a tensor, as in ggml.
const MAX_DIMENSIONS: u32 = 4;
/// Longest header; a vocabulary of 262,144 takes 6.5 MB.
const MAX_HEADER_BYTES: u64 = 64 << 20;
/// Smallest alignment of tensor data, as the GGUF specification has it.
const MIN_ALIGNMENT: u64 = 8;
/// Largest alignment of tensor data.
const MAX_ALIGNMENT: u64 = 65_536;

/// Alignment of a file that does not name one.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Key, value type and at least one byte of value.
const MIN_METADATA_ENTRY_BYTES: u64 = 8 + 4 + 1;
/// Name length, dimension count, one dimension, type and offset.
const MIN_TENSOR_INFO_BYTES: u64 = 8 + 4 + 8 + 4 + 8;

/// What the walk learned about a sound header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeaderFacts {
    /// Bytes from the start of the file to the end of the last tensor info.
    pub(crate) header_bytes: u64,
    /// Alignment of tensor offsets and of the data section.
    pub(crate) alignment: u64,
    /// Bytes of the whole file.
    pub(crate) file_bytes: u64,
}

/// Walks the header at the start of `reader`.
pub(crate) fn check_header<R: Read + Seek>(reader: &mut R) -> Result<HeaderFacts> {
    let file_bytes = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
    reader.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut walk = Walk {
        reader: BufReader::with_capacity(64 << 10, reader),
        position: 0,
        file_bytes,
        scratch: Vec::new(),
        array_elements: 0,
    };
    let (tensor_count, entry_count) = walk.preamble()?;
    let alignment = walk.metadata(entry_count)?;
    walk.tensor_infos(tensor_count)?;
    Ok(HeaderFacts { header_bytes: walk.position, alignment, file_bytes })
}

/// Refuses, by name, the tensor types that are not in [`TensorType`].
///
/// [`TensorType`]: frontdesk_kernels::quant::TensorType
fn check_tensor_type(id: u32, tensor_name: &str) -> Result<()> {
    if matches!(id, 0..=3 | 6..=8 | 12..=14 | 30) {
        return Ok(());
    }
    let known_as = unsupported_type_name(id).map(|name| format!(" ({name})")).unwrap_or_default();
    Err(unsupported(format!(
        "tensor '{}' has type {id}{known_as}, which is not supported",
        Quoted(tensor_name)
    )))
}

/// ggml's names of the types that are not supported here, so that the error says more than a number.
fn unsupported_type_name(id: u32) -> Option<&'static str> {
    Some(match id {
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        40 => "NVFP4",
        41 => "Q1_0",
        _ => return None,
    })
}

/// A forward-only reader of the header that knows where it is and how long the file is.
struct Walk<R> {
    reader: BufReader<R>,
    position: u64,
    file_bytes: u64,
    scratch: Vec<u8>,
    array_elements: u64,
}

impl<R: Read> Walk<R> {
    /// Magic, version and counts; returns the numbers of tensors and of metadata entries.
    fn preamble(&mut self) -> Result<(u64, u64)> {
        let magic: [u8; 4] = self.array(format_args!("the magic number"))?;
        if &magic != b"GGUF" {
            return Err(invalid(format!(
                "this is not a GGUF file: it begins with '{}' instead of 'GGUF'",
                Quoted(&String::from_utf8_lossy(&magic)),
            )));
        }
        let version = self.u32(format_args!("the version"))?;
        if !(2..=3).contains(&version) {
            let why = match version {
                1 => "version 1 is obsolete".to_owned(),
                _ if (1..=0xffff).contains(&version.swap_bytes()) => {
                    "the file is big-endian".to_owned()
                }
                _ => format!("version {version} is unknown"),
            };
            return Err(unsupported(format!(
                "{why}; only little-endian GGUF versions 2 and 3 are supported"
            )));
        }
        let tensor_count = self.u64(format_args!("the tensor count"))?;
        let entry_count = self.u64(format_args!("the metadata count"))?;
        at_most(tensor_count, MAX_TENSORS, format_args!("the tensor count"))?;
        at_most(entry_count, MAX_METADATA_ENTRIES, format_args!("the metadata count"))?;
        let needed = tensor_count * MIN_TENSOR_INFO_BYTES + entry_count * MIN_METADATA_ENTRY_BYTES;
        self.ensure(
            needed,
            format_args!("{tensor_count} tensors and {entry_count} metadata entries"),
        )?;
        Ok((tensor_count, entry_count))
    }

    /// All metadata entries; returns the alignment.
    fn metadata(&mut self, entry_count: u64) -> Result<u64> {
        let mut alignment = DEFAULT_ALIGNMENT;
        let mut seen = HashSet::new();
        for index in 0..entry_count {
            let key =
                self.name(MAX_KEY_BYTES, format_args!("the key of metadata entry {index}"))?;
            let value_type = self.u32(format_args!("the type of key '{}'", Quoted(&key)))?;
            if key == "general.alignment" {
                alignment = self.alignment(value_type)?;
            } else {
                self.value(value_type, &key)?;
            }
            if let Some(key) = seen.replace(key) {
                return Err(invalid(format!("the key '{}' appears twice", Quoted(&key))));
            }
        }
        Ok(alignment)
    }

    /// The value of `general.alignment`, in the integer types that candle takes it in.
    fn alignment(&mut self, value_type: u32) -> Result<u64> {
        let what = format_args!("the value of 'general.alignment'");
        let alignment = match value_type {
            0 => i64::from(self.array::<1>(what)?[0]),
            1 => i64::from(i8::from_le_bytes(self.array(what)?)),
            2 => i64::from(u16::from_le_bytes(self.array(what)?)),
            3 => i64::from(i16::from_le_bytes(self.array(what)?)),
            4 => i64::from(u32::from_le_bytes(self.array(what)?)),
            5 => i64::from(i32::from_le_bytes(self.array(what)?)),
            _ => return Err(invalid("the value of 'general.alignment' is not a 32-bit integer")),
        };
        match u64::try_from(alignment) {
            Ok(valid)
                if valid.is_power_of_two() && (MIN_ALIGNMENT..=MAX_ALIGNMENT).contains(&valid) =>
            {
                Ok(valid)
            }
            _ => Err(invalid(format!(
                "the alignment is {alignment}; it must be a power of two from {MIN_ALIGNMENT} to {MAX_ALIGNMENT}"
            ))),
        }
    }

    /// One metadata value of the given type.
    fn value(&mut self, value_type: u32, key: &str) -> Result<()> {
        const ARRAY: u32 = 9;
        if value_type != ARRAY {
            return self.elements(value_type, 1, key);
        }
        let element_type = self.u32(format_args!("the element type of array '{}'", Quoted(key)))?;
        let length = self.u64(format_args!("the length of array '{}'", Quoted(key)))?;
        if element_type == ARRAY {
            return Err(invalid(format!(
                "'{}' is an array of arrays, which is not allowed",
                Quoted(key)
            )));
        }
        at_most(length, MAX_ARRAY_ELEMENTS, format_args!("the length of array '{}'", Quoted(key)))?;
        self.array_elements += length;
        at_most(
            self.array_elements,
            MAX_ARRAY_ELEMENTS,
            format_args!("the length of all arrays together"),
        )?;
        self.elements(element_type, length, key)
    }

    /// `count` values of one type, one after the other.
    fn elements(&mut self, value_type: u32, count: u64, key: &str) -> Result<()> {
        const BOOL: u32 = 7;
        const STRING: u32 = 8;
        let what = format_args!("the value of '{}'", Quoted(key));
        let element_bytes: u64 = match value_type {
            0 | 1 | BOOL => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            STRING => 8,
            _ => {
                return Err(invalid(format!(
                    "'{}' has the unknown value type {value_type}",
                    Quoted(key)
                )));
            }
        };
        // The caps on `count` keep this product far from overflow.
        self.ensure(count * element_bytes, what)?;
        match value_type {
            STRING => {
                for _ in 0..count {
                    self.string(MAX_STRING_BYTES, what)?;
                }
            }
            BOOL => {
                for _ in 0..count {
                    let [byte] = self.array(what)?;
                    if byte > 1 {
                        return Err(invalid(format!(
                            "'{}' holds the byte {byte} where a bool must be 0 or 1",
                            Quoted(key)
                        )));
                    }
                }
            }
            _ => self.skip(count * element_bytes, what)?,
        }
        Ok(())
    }

    /// All tensor infos: names, dimensions and types; where the data lies is checked later.
    fn tensor_infos(&mut self, tensor_count: u64) -> Result<()> {
        let mut seen = HashSet::new();
        for index in 0..tensor_count {
            let name =
                self.name(MAX_TENSOR_NAME_BYTES, format_args!("the name of tensor {index}"))?;
            let what = format_args!("the description of tensor '{}'", Quoted(&name));
            let dimension_count = self.u32(what)?;
            if !(1..=MAX_DIMENSIONS).contains(&dimension_count) {
                return Err(invalid(format!(
                    "tensor '{}' has {dimension_count} dimensions; 1 to {MAX_DIMENSIONS} are possible",
                    Quoted(&name)
                )));
            }
            for axis in 0..dimension_count {
                let dimension = self.u64(what)?;
                // candle casts dimensions to usize without a look, which matters on wasm32.
                if dimension == 0 || usize::try_from(dimension).is_err() {
                    return Err(invalid(format!(
                        "dimension {axis} of tensor '{}' is {dimension}",
                        Quoted(&name)
                    )));
                }
            }
            let type_id = self.u32(what)?;
            check_tensor_type(type_id, &name)?;
            self.u64(what)?;
            if let Some(name) = seen.replace(name) {
                return Err(invalid(format!("the tensor '{}' appears twice", Quoted(&name))));
            }
        }
        Ok(())
    }

    /// A key or tensor name: not empty and free of control characters. candle drops trailing NULs,
    /// so that two names which differ here would be one there.
    fn name(&mut self, cap: u64, what: fmt::Arguments<'_>) -> Result<String> {
        let name = self.string(cap, what)?;
        if name.is_empty() {
            return Err(invalid(format!("{what} is empty")));
        }
        if name.contains(char::is_control) {
            return Err(invalid(format!("{what} has control characters: '{}'", Quoted(name))));
        }
        Ok(name.to_owned())
    }

    /// A length-prefixed UTF-8 string, kept in the scratch buffer until the next one.
    fn string(&mut self, cap: u64, what: fmt::Arguments<'_>) -> Result<&str> {
        let length = self.u64(what)?;
        at_most(length, cap, format_args!("the length of {what}"))?;
        self.ensure(length, what)?;
        self.scratch.clear();
        let read =
            self.reader.by_ref().take(length).read_to_end(&mut self.scratch).map_err(unreadable)?;
        if read as u64 != length {
            return Err(self.ends_inside(what));
        }
        self.position += length;
        std::str::from_utf8(&self.scratch)
            .map_err(|cause| invalid(format!("{what} is not valid UTF-8")).with_source(cause))
    }

    fn u32(&mut self, what: fmt::Arguments<'_>) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    fn u64(&mut self, what: fmt::Arguments<'_>) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    fn array<const N: usize>(&mut self, what: fmt::Arguments<'_>) -> Result<[u8; N]> {
        self.ensure(N as u64, what)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::UnexpectedEof => self.ends_inside(what),
            _ => unreadable(cause),
        })?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64, what: fmt::Arguments<'_>) -> Result<()> {
        self.ensure(count, what)?;
        let skipped = std::io::copy(&mut self.reader.by_ref().take(count), &mut std::io::sink())
            .map_err(unreadable)?;
        if skipped != count {
            return Err(self.ends_inside(what));
        }
        self.position += count;
        Ok(())
    }

    /// Refuses to believe in bytes past the end of the file or of the largest header.
    fn ensure(&self, count: u64, what: fmt::Arguments<'_>) -> Result<()> {
        if count > self.file_bytes.saturating_sub(self.position) {
            return Err(self.ends_inside(what));
        }
        at_most(
            self.position.saturating_add(count),
            MAX_HEADER_BYTES,
            format_args!("the length of the header"),
        )
    }

    fn ends_inside(&self, what: fmt::Arguments<'_>) -> Error {
        invalid(format!(
            "the file ends too early: {what} at byte {} does not fit in its {} bytes",
            self.position, self.file_bytes
        ))
    }
}

/// Text of the file as it may stand in an error message: short, and without control characters.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARACTERS: usize = 96;
        let mut written = 0;
        for character in self.0.chars() {
            let escaped = character.escape_debug();
            written += escaped.len();
            if written > MAX_CHARACTERS {
                return formatter.write_str("...");
            }
            write!(formatter, "{escaped}")?;
        }
        Ok(())
    }
}

/// The file lies or is damaged.
pub(crate) fn invalid(context: impl Into<String>) -> Error {
    Error::invalid_model(context)
}

/// The reader of the file failed.
pub(crate) fn unreadable(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "the model file could not be read").with_source(cause)
}

fn unsupported(context: String) -> Error {
    Error::new(ErrorKind::UnsupportedModel, context)
}

fn at_most(found: u64, limit: u64, what: fmt::Arguments<'_>) -> Result<()> {
    if found > limit {
        return Err(invalid(format!("{what} is {found}; at most {limit} is allowed")));
    }
    Ok(())
}
