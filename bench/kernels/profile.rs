//! Where the time of a prefill and of a token goes, operation by operation.

use crate::timed::{Clock, Cost, Costs, Timed};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::sampler::best_token;
use js_sys::Function;
use std::fmt::Write;
use std::io::Cursor;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// A model whose operations are timed.
#[wasm_bindgen]
pub struct Profile {
    model: LanguageModel<Timed>,
    costs: Costs,
    runs: u32,
}

pub(crate) fn failure(error: impl ToString) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

#[wasm_bindgen]
impl Profile {
    /// Reads a GGUF file; `now` gives milliseconds.
    pub fn load(file: Vec<u8>, now: Function) -> Result<Profile, JsValue> {
        let read_clock = move || now.call0(&JsValue::UNDEFINED).ok().and_then(|time| time.as_f64());
        let clock: Clock = Rc::new(move || read_clock().unwrap_or(f64::NAN));
        let (backend, costs) = Timed::new(Cpu::default().with_pool(crate::threads::pool()), clock);
        let model = LanguageModel::load(Cursor::new(file), backend, 2048, &mut |_, _| {});
        Ok(Self { model: model.map_err(failure)?, costs, runs: 0 })
    }

    /// Prefills `prompt` tokens and generates `tokens`; two JSON lists of costs, prefill and decode.
    pub fn run(&mut self, prompt: usize, tokens: usize) -> Result<Vec<String>, JsValue> {
        self.runs += 1;
        self.costs.borrow_mut().clear();
        let vocabulary = self.model.decoder().vocabulary();
        let first = 100 + self.runs as usize;
        let ids = (0..prompt).map(|index| ((first + index * 7919) % vocabulary) as u32).collect();
        let mut prefill = self.model.begin(ids, tokens).map_err(failure)?;
        while !self.model.prefill(&mut prefill).map_err(failure)? {}
        let mut logits = Vec::new();
        pollster::block_on(self.model.logits(&[0], &mut logits)).map_err(failure)?;
        let prefilled = self.take_costs();
        for _ in 0..tokens {
            self.model.extend(&[best_token(&logits).map_err(failure)?]).map_err(failure)?;
            pollster::block_on(self.model.logits(&[0], &mut logits)).map_err(failure)?;
        }
        Ok(vec![prefilled, self.take_costs()])
    }
}

impl Profile {
    fn take_costs(&self) -> String {
        let mut json = String::new();
        for (operation, cost) in std::mem::take(&mut *self.costs.borrow_mut()) {
            let Cost { milliseconds, macs, bytes } = cost;
            let separator = if json.is_empty() { "[" } else { "," };
            // Writing to a string cannot fail; the names hold nothing to escape.
            let _ = write!(
                json,
                "{separator}{{\"op\":\"{operation}\",\"ms\":{milliseconds},\"macs\":{macs},\"bytes\":{bytes}}}"
            );
        }
        json + "]"
    }
}
