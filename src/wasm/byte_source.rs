//! A model file that JavaScript holds, as something Rust can read and seek.

use js_sys::Uint8Array;
use std::io::{self, Read, Seek, SeekFrom};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
/** Random access to a model file; `read` fills `into` wholly or throws. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, into: Uint8Array): void;
}
";

#[wasm_bindgen]
extern "C" {
    /// Random access to a model file.
    #[wasm_bindgen(typescript_type = "ByteSource")]
    pub type ByteSource;

    #[wasm_bindgen(method, getter)]
    fn size(this: &ByteSource) -> f64;

    #[wasm_bindgen(method, catch)]
    fn read(this: &ByteSource, offset: f64, into: &Uint8Array) -> Result<(), JsValue>;
}

/// Most bytes that cross at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Reads a [`ByteSource`] through one buffer on the JavaScript side.
pub(crate) struct SourceReader {
    source: ByteSource,
    buffer: Uint8Array,
    size: u64,
    position: u64,
}

impl SourceReader {
    pub(crate) fn new(source: ByteSource) -> Self {
        // Not a number, negative and fractional sizes become whole ones; reading checks the rest.
        let size = source.size() as u64;
        Self { source, buffer: Uint8Array::new_with_length(BUFFER_BYTES as u32), size, position: 0 }
    }
}

impl Read for SourceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let length = into.len().min(BUFFER_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(0);
        }
        let part = self.buffer.subarray(0, length as u32);
        self.source.read(self.position as f64, &part).map_err(|error| {
            let message =
                error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
            io::Error::other(message.unwrap_or_else(|| "the file cannot be read".to_owned()))
        })?;
        part.copy_to(&mut into[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for SourceReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
