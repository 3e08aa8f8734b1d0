//! Texts on their way to vectors, advanced pass by pass, wherever the encoder computes.

use crate::encoder::Shared;
use crate::error::{invalid_input, to_js};
use crate::messages::{EmbedEvent, LocalEmbedding, LocalEmbeddings};
use crate::model::busy;
use crate::now;
use frontdesk_engine::backend::Backend;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::{Embedding, Embeddings};
use frontdesk_gpu::Gpu;
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Texts in progress.
#[wasm_bindgen]
pub struct EmbedJob {
    encoder: AnyEncoder,
    running: RefCell<Option<Running>>,
}

/// An encoder, wherever it computes.
pub(crate) enum AnyEncoder {
    Cpu(Shared<Cpu>),
    Gpu(Shared<Gpu>),
}

struct Running {
    texts: Embeddings,
    milliseconds: f64,
}

#[wasm_bindgen]
impl EmbedJob {
    /// Embeds some of the texts and says how many are done.
    ///
    /// # Errors
    /// An `EngineError`; the job is over then, the encoder stays usable.
    pub async fn step(&self) -> Result<JsValue, JsValue> {
        let event = match &self.encoder {
            AnyEncoder::Cpu(shared) => self.step_on(shared).await?,
            AnyEncoder::Gpu(shared) => self.step_on(shared).await?,
        };
        event.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(invalid_input)
    }
}

impl EmbedJob {
    /// Starts to embed `texts` with an encoder, which `place` puts where it computes.
    pub(crate) fn start<B: Backend>(
        shared: &Shared<B>,
        texts: &[String],
        place: fn(Shared<B>) -> AnyEncoder,
    ) -> Result<Self, JsValue> {
        let running = RefCell::new(Some(Running::start(shared, texts)?));
        Ok(Self { encoder: place(Rc::clone(shared)), running })
    }

    async fn step_on<B: Backend>(&self, shared: &Shared<B>) -> Result<EmbedEvent, JsValue> {
        let mut running = self.running.take().ok_or_else(|| invalid_input("the job is over"))?;
        // Both are taken out rather than borrowed: nothing stays borrowed across an await.
        let mut model = shared.take().ok_or_else(busy)?;
        let started = now();
        let goes_on = running.texts.step(&mut model).await;
        running.milliseconds += now() - started;
        shared.replace(Some(model));
        if !goes_on.map_err(|error| to_js(&error))? {
            return Ok(running.done());
        }
        let (done, total) = running.texts.progress();
        self.running.replace(Some(running));
        Ok(EmbedEvent::Prefill { done, total })
    }
}

impl Running {
    fn start<B: Backend>(shared: &Shared<B>, texts: &[String]) -> Result<Self, JsValue> {
        let started = now();
        let model = shared.borrow();
        let texts = model.as_ref().ok_or_else(busy)?.embed(texts).map_err(|error| to_js(&error))?;
        Ok(Self { texts, milliseconds: now() - started })
    }

    fn done(self) -> EmbedEvent {
        let embeddings = self.texts.into_embeddings();
        let local = |embedding: Embedding| LocalEmbedding {
            vector: js_sys::Float32Array::from(&embedding.vector[..]).into(),
            tokens: embedding.tokens,
            is_truncated: embedding.is_truncated,
        };
        let embeddings = embeddings.into_iter().map(local).collect();
        EmbedEvent::Done { result: LocalEmbeddings { embeddings, total_ms: self.milliseconds } }
    }
}
