//! The GPU backend: the engine's operations as WGSL kernels over wgpu, in the browser and natively.
//!
//! An operation records dispatches; they run when something is read, or when the cursor is moved.
//! A token in flight alone goes through kernels of its own, fused so that a layer takes seven dispatches at
//! the most; several go through tiles. `docs/gpu.md` has the table.
#![forbid(unsafe_code)]

mod backend;
mod buffers;
mod choice;
mod device;
mod failure;
mod kernels;
mod matrix;
mod operations;
mod project;
mod recorder;
mod self_test;

pub use backend::Gpu;
pub use device::{AdapterReport, Limits, Options, Sharing};
pub use recorder::Counters;
pub use self_test::{Purpose, self_test};
