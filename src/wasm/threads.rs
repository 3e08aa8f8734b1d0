//! The thread pool of the module: its workers are Web Workers that enter the same memory.

use frontdesk_kernels::pool::{Pool, Server};
use std::sync::OnceLock;
use wasm_bindgen::prelude::wasm_bindgen;

static POOL: OnceLock<(Pool, Server)> = OnceLock::new();

/// The pool that models work on; the caller alone where [`start_threads`] was not called.
pub(crate) fn pool() -> Pool {
    POOL.get().map(|(pool, _)| pool.clone()).unwrap_or_default()
}

/// Prepares the pool for `threads` threads, the caller included. Only the first call counts.
#[wasm_bindgen(js_name = startThreads)]
pub fn start_threads(threads: u32) {
    POOL.get_or_init(|| Pool::external(threads as usize));
}

/// Makes the calling worker a thread of the pool; does not return.
#[wasm_bindgen(js_name = serveThreads)]
pub fn serve_threads() {
    if let Some((_, server)) = POOL.get() {
        server.serve();
    }
}

/// Says that a thread trapped, so that nobody waits for it.
#[wasm_bindgen(js_name = failThreads)]
pub fn fail_threads() {
    if let Some((_, server)) = POOL.get() {
        server.fail();
    }
}
