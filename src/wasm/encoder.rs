//! A loaded encoder, as JavaScript holds it, and its texts on their way to vectors.

use crate::byte_source::{ByteSource, SourceReader};
use crate::error::{invalid_input, to_js};
use crate::messages::{EmbedEvent, EncoderDescription, LocalEmbedding, LocalEmbeddings};
use crate::model::{busy, tell};
use crate::now;
use crate::task::{Judge, Task, TaskJob};
use crate::threads::pool;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::{Embedding, EmbeddingModel, Embeddings};
use js_sys::Function;
use serde::Serialize;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What jobs work with; absent while one of them does.
pub(crate) type Shared = Rc<RefCell<Option<EmbeddingModel<Cpu>>>>;

/// A loaded encoder.
#[wasm_bindgen]
pub struct Encoder {
    shared: Shared,
}

#[wasm_bindgen]
impl Encoder {
    /// Reads a GGUF file tensor by tensor; `on_progress(loadedBytes, totalBytes)`.
    ///
    /// # Errors
    /// An `EngineError` when the file is damaged, no encoder's or too large.
    pub fn load(source: ByteSource, on_progress: &Function) -> Result<Encoder, JsValue> {
        let backend = Cpu::default().with_pool(pool());
        let mut progress = |loaded, total| tell(on_progress, loaded, total);
        let model = EmbeddingModel::load(SourceReader::new(source), backend, &mut progress)
            .map_err(|error| to_js(&error))?;
        Ok(Self { shared: Rc::new(RefCell::new(Some(model))) })
    }

    /// Architecture, parameters and the length of vectors and texts.
    pub fn describe(&self) -> Result<JsValue, JsValue> {
        let shared = self.shared.borrow();
        let encoder = shared.as_ref().ok_or_else(busy)?.encoder();
        let description = EncoderDescription {
            architecture: &encoder.config().architecture,
            parameters: encoder.parameters() as f64,
            dimensions: encoder.config().hidden,
            text_tokens: encoder.longest_text(),
        };
        serde_wasm_bindgen::to_value(&description).map_err(invalid_input)
    }

    /// Starts to embed `texts`.
    pub fn embed(&self, texts: Vec<String>) -> Result<EmbedJob, JsValue> {
        let started = now();
        let shared = self.shared.borrow();
        let model = shared.as_ref().ok_or_else(busy)?;
        let texts = model.embed(&texts).map_err(|error| to_js(&error))?;
        let running = Running { texts, milliseconds: now() - started };
        Ok(EmbedJob { shared: self.shared.clone(), running: RefCell::new(Some(running)) })
    }

    /// Starts to learn a task (`LearnRequest`).
    pub fn learn(&self, request: JsValue) -> Result<TaskJob, JsValue> {
        TaskJob::learn(&self.shared, request)
    }

    /// Starts to answer with a task (`ApplyRequest`).
    pub fn apply(&self, task: &Task, request: JsValue) -> Result<TaskJob, JsValue> {
        TaskJob::apply(&self.shared, task, request)
    }

    /// Starts to judge a task's answers (`LabelledTexts`).
    pub fn evaluate(&self, task: &Task, request: JsValue) -> Result<TaskJob, JsValue> {
        TaskJob::judge(&self.shared, task, request, Judge::Evaluate)
    }

    /// Starts to certify a threshold of a task (`LabelledTexts`).
    pub fn certify(
        &self,
        task: &Task,
        request: JsValue,
        budget: JsValue,
    ) -> Result<TaskJob, JsValue> {
        let budget = serde_wasm_bindgen::from_value(budget).map_err(invalid_input)?;
        TaskJob::judge(&self.shared, task, request, Judge::Certify(budget))
    }

    /// Starts to note what texts' labels are (`LabelledTexts`), and who says so.
    pub fn teach(
        &self,
        task: &Task,
        request: JsValue,
        teacher: JsValue,
    ) -> Result<TaskJob, JsValue> {
        let teacher = serde_wasm_bindgen::from_value(teacher).map_err(invalid_input)?;
        TaskJob::judge(&self.shared, task, request, Judge::Teach(teacher))
    }

    /// Starts to learn a challenger of a task, to be compared on texts (`LabelledTexts`) too.
    pub fn improve(&self, task: &Task, request: JsValue) -> Result<TaskJob, JsValue> {
        TaskJob::judge(&self.shared, task, request, Judge::Improve)
    }
}

/// Texts in progress.
#[wasm_bindgen]
pub struct EmbedJob {
    shared: Shared,
    running: RefCell<Option<Running>>,
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
        let mut running = self.running.take().ok_or_else(|| invalid_input("the job is over"))?;
        // Both are taken out rather than borrowed: nothing stays borrowed across an await.
        let mut model = self.shared.take().ok_or_else(busy)?;
        let started = now();
        let goes_on = running.texts.step(&mut model).await;
        running.milliseconds += now() - started;
        self.shared.replace(Some(model));
        let event = if goes_on.map_err(|error| to_js(&error))? {
            let (done, total) = running.texts.progress();
            self.running.replace(Some(running));
            EmbedEvent::Prefill { done, total }
        } else {
            running.done()
        };
        event.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(invalid_input)
    }
}

impl Running {
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
