//! What the tests share: folders, golden files and a maker of tiny synthetic GGUF files.

pub mod candle_weights;
pub mod comparing;
pub mod folders;
pub mod gguf_maker;
pub mod golden;
pub mod sparse_file;
