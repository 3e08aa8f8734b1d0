//! The browser module: converts between JavaScript and the engine, and forwards.
#![deny(unsafe_code)]

mod byte_source;
mod embed_job;
mod encoder;
mod error;
mod gpu;
mod job;
mod ledger;
mod messages;
mod model;
mod sha256;
mod task;
mod threads;

pub use embed_job::EmbedJob;
pub use encoder::{Encoder, GpuEncoder};
pub use job::Job;
pub use ledger::summarise_ledger;
pub use model::Model;
pub use sha256::Sha256;
pub use task::{Task, TaskJob};
pub use threads::{fail_threads, serve_threads, start_threads};

use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::wasm_bindgen;

/// Runs when the module is instantiated: a panic is told to the console before it traps.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| gloo::console::error!(info.to_string())));
}

/// Whether this browser computes the module's dot products right; where not, load another variant.
#[wasm_bindgen(js_name = isExact)]
pub fn is_exact() -> bool {
    frontdesk_engine::cpu::Cpu::is_exact()
}

/// Milliseconds on the worker's monotonic clock.
fn now() -> f64 {
    let scope = js_sys::global().dyn_into::<web_sys::WorkerGlobalScope>();
    let performance = scope.ok().and_then(|scope| scope.performance());
    performance.map_or(0.0, |performance| performance.now())
}
