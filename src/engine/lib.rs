//! Model files, tokenizer and the forward pass; no I/O of its own and no JavaScript.
#![forbid(unsafe_code)]

pub mod error;
pub mod metadata;
pub mod model_file;
mod model_header;

pub use error::{Error, ErrorKind, Result};
