//! Model files, tokenizer and the forward pass; no I/O of its own and no JavaScript.
#![forbid(unsafe_code)]

pub mod backend;
mod batch;
pub mod chat_template;
pub mod config;
pub mod cpu;
pub mod decoder;
pub mod embedding_model;
pub mod encoder;
pub mod encoder_config;
mod encoder_weights;
pub mod error;
pub mod features;
pub mod generate;
pub mod language_model;
pub mod loader;
pub mod metadata;
pub mod model_file;
mod model_header;
mod noise;
pub mod sampler;
pub mod state;
pub mod text_stream;
pub mod tokenizer;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
