//! Opens the GPU for whatever model is to be on it, and tells JavaScript which one that is.

use crate::error::invalid_input;
use crate::messages::AdapterDescription;
use frontdesk_engine::Error;
use frontdesk_gpu::{Gpu, Options, Purpose};
use wasm_bindgen::JsValue;

/// A GPU that has passed the self-test.
pub(crate) async fn open(allow_software: bool, purpose: Purpose) -> Result<Gpu, Error> {
    let mut gpu = Gpu::open(Options { allow_software, ..Default::default() }).await?;
    frontdesk_gpu::self_test(&mut gpu, purpose).await?;
    Ok(gpu)
}

/// What its adapter says of itself (`AdapterInfo`).
pub(crate) fn describe(gpu: &Gpu) -> Result<JsValue, JsValue> {
    let report = gpu.adapter();
    let message = AdapterDescription {
        name: &report.name,
        driver: &report.driver,
        is_software: report.is_software,
        features: report.features(),
    };
    serde_wasm_bindgen::to_value(&message).map_err(invalid_input)
}
