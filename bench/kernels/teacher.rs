//! A model that is told what comes next and says how likely it thought each token.

use crate::profile::failure;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use std::io::Cursor;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// A model under teacher forcing.
#[wasm_bindgen]
pub struct Teacher {
    model: LanguageModel<Cpu>,
}

#[wasm_bindgen]
impl Teacher {
    /// Reads a GGUF file.
    pub fn load(file: Vec<u8>) -> Result<Teacher, JsValue> {
        let model = LanguageModel::load(Cursor::new(file), Cpu::default(), 512, &mut |_, _| {});
        Ok(Self { model: model.map_err(failure)? })
    }

    /// Logits after a prompt, `[vocabulary]`.
    pub fn begin(&mut self, prompt: Vec<u32>) -> Result<Vec<f32>, JsValue> {
        let mut prefill = self.model.begin(prompt, 0).map_err(failure)?;
        while !self.model.prefill(&mut prefill).map_err(failure)? {}
        self.logits()
    }

    /// Logits after one more token, `[vocabulary]`.
    pub fn follow(&mut self, token: u32) -> Result<Vec<f32>, JsValue> {
        self.model.extend(&[token]).map_err(failure)?;
        self.logits()
    }
}

impl Teacher {
    fn logits(&mut self) -> Result<Vec<f32>, JsValue> {
        let mut logits = Vec::new();
        pollster::block_on(self.model.logits(&[0], &mut logits)).map_err(failure)?;
        Ok(logits)
    }
}
