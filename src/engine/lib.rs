//! Model files, tokenizer and the forward pass; no I/O of its own and no JavaScript.
#![forbid(unsafe_code)]

pub mod error;

pub use error::{Error, ErrorKind, Result};
