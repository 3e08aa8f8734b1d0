//! The ledger's sums, as JavaScript asks for them.

use crate::error::invalid_input;
use crate::task::{send, task_error};
use frontdesk_cascade::ledger::{Call, Prices, summarise};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What the calls (`LedgerCall`s) cost at these prices (`Prices`), and what they would have cost.
///
/// # Errors
/// An `EngineError` of code `invalid_input` for amounts that cannot be.
#[wasm_bindgen(js_name = summariseLedger)]
pub fn summarise_ledger(calls: JsValue, prices: JsValue) -> Result<JsValue, JsValue> {
    let calls: Vec<Call> = serde_wasm_bindgen::from_value(calls).map_err(invalid_input)?;
    let prices: Prices = serde_wasm_bindgen::from_value(prices).map_err(invalid_input)?;
    send(&summarise(&calls, prices).map_err(task_error)?)
}
