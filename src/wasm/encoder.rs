//! A loaded encoder, as JavaScript holds it: on the CPU, where tasks are, and on a GPU, for embeddings alone.

use crate::byte_source::{ByteSource, SourceReader};
use crate::embed_job::{AnyEncoder, EmbedJob};
use crate::error::{invalid_input, to_js};
use crate::gpu;
use crate::messages::EncoderDescription;
use crate::model::{busy, tell};
use crate::task::{Judge, Task, TaskJob};
use crate::threads::pool;
use frontdesk_engine::Error;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::EmbeddingModel;
use frontdesk_gpu::{Gpu, Purpose};
use js_sys::Function;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What jobs work with; absent while one of them does.
pub(crate) type Shared<B> = Rc<RefCell<Option<EmbeddingModel<B>>>>;

/// A loaded encoder.
#[wasm_bindgen]
pub struct Encoder {
    shared: Shared<Cpu>,
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
        EmbedJob::start(&self.shared, &texts, AnyEncoder::Cpu)
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

/// An encoder on a GPU. It only embeds: what tasks promise was counted with the CPU's numbers.
#[wasm_bindgen]
pub struct GpuEncoder {
    shared: Shared<Gpu>,
}

#[wasm_bindgen]
impl GpuEncoder {
    /// As [`Encoder::load`], to the GPU.
    ///
    /// # Errors
    /// Also where there is no adapter, where it computes wrongly, or where the model does not fit it.
    pub async fn load(
        source: ByteSource,
        allow_software: bool,
        on_progress: Function,
    ) -> Result<GpuEncoder, JsValue> {
        let load = async {
            let gpu = gpu::open(allow_software, Purpose::Encoder).await?;
            let mut progress = |loaded, total| tell(&on_progress, loaded, total);
            let mut model = EmbeddingModel::load(SourceReader::new(source), gpu, &mut progress)?;
            model.ready().await?;
            Ok(model)
        };
        let model = load.await.map_err(|error: Error| to_js(&error))?;
        Ok(Self { shared: Rc::new(RefCell::new(Some(model))) })
    }

    /// What the GPU's adapter says of itself.
    pub fn adapter(&self) -> Result<JsValue, JsValue> {
        gpu::describe(self.shared.borrow().as_ref().ok_or_else(busy)?.encoder().backend())
    }

    /// Starts to embed `texts`.
    pub fn embed(&self, texts: Vec<String>) -> Result<EmbedJob, JsValue> {
        EmbedJob::start(&self.shared, &texts, AnyEncoder::Gpu)
    }
}
