//! A loaded model, as JavaScript holds it.

use crate::byte_source::{ByteSource, SourceReader};
use crate::error::{invalid_input, to_js};
use crate::gpu;
use crate::job::{Job, Task};
use crate::messages::{ChatMessage, ClassifyMessage, ModelDescription};
use crate::threads::pool;
use frontdesk_engine::Error;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::generate::Generation;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_gpu::{Gpu, Purpose};
use frontdesk_tasks::Classifier;
use js_sys::{ArrayBuffer, Function, WebAssembly};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

/// What jobs work with; absent while one of them does.
pub(crate) type Shared = Rc<RefCell<Option<Loaded>>>;

pub(crate) struct Loaded {
    pub(crate) model: AnyModel,
    pub(crate) classifier: Classifier,
}

/// A model, wherever it computes.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub(crate) enum AnyModel {
    Cpu(LanguageModel<Cpu>),
    Gpu(LanguageModel<Gpu>),
}

/// Evaluates an expression over the model that there is.
macro_rules! with_model {
    ($any:expr, $model:ident => $value:expr) => {
        match $any {
            AnyModel::Cpu($model) => $value,
            AnyModel::Gpu($model) => $value,
        }
    };
}
pub(crate) use with_model;

/// A loaded model.
#[wasm_bindgen]
pub struct Model {
    shared: Shared,
}

#[wasm_bindgen]
impl Model {
    /// Reads a GGUF file tensor by tensor; `on_progress(loadedBytes, totalBytes)`.
    ///
    /// # Errors
    /// An `EngineError` when the file is damaged, not supported or too large.
    pub fn load(
        source: ByteSource,
        context_tokens: u32,
        on_progress: &Function,
    ) -> Result<Model, JsValue> {
        let mut progress = |loaded, total| tell(on_progress, loaded, total);
        let reader = SourceReader::new(source);
        let backend = Cpu::default().with_pool(pool());
        let model = LanguageModel::load(reader, backend, context_tokens as usize, &mut progress)
            .map_err(|error| to_js(&error))?;
        Ok(Self::new(AnyModel::Cpu(model)))
    }

    /// As [`Model::load`], to the GPU.
    ///
    /// # Errors
    /// Also where there is no adapter, where it computes wrongly, or where the model does not fit it.
    #[wasm_bindgen(js_name = loadOnGpu)]
    pub async fn load_on_gpu(
        source: ByteSource,
        context_tokens: u32,
        allow_software: bool,
        on_progress: Function,
    ) -> Result<Model, JsValue> {
        let load = async {
            let gpu = gpu::open(allow_software, Purpose::Decoder).await?;
            let mut progress = |loaded, total| tell(&on_progress, loaded, total);
            let reader = SourceReader::new(source);
            let mut model =
                LanguageModel::load(reader, gpu, context_tokens as usize, &mut progress)?;
            model.ready().await?;
            Ok(model)
        };
        let model = load.await.map_err(|error: Error| to_js(&error))?;
        Ok(Self::new(AnyModel::Gpu(model)))
    }

    /// What the GPU's adapter says of itself; nothing for a model on the CPU.
    pub fn adapter(&self) -> Result<JsValue, JsValue> {
        match &self.shared.borrow().as_ref().ok_or_else(busy)?.model {
            AnyModel::Cpu(_) => Ok(JsValue::UNDEFINED),
            AnyModel::Gpu(model) => gpu::describe(model.decoder().backend()),
        }
    }

    /// Architecture, parameters, context and memory.
    pub fn describe(&self) -> Result<JsValue, JsValue> {
        let shared = self.shared.borrow();
        let loaded = shared.as_ref().ok_or_else(busy)?;
        let memory: WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
        let buffer: ArrayBuffer = memory.buffer().unchecked_into();
        let (architecture, parameters, context_tokens) = with_model!(&loaded.model, model => {
            let decoder = model.decoder();
            (&decoder.config().architecture, decoder.parameters() as f64, model.capacity())
        });
        let description = ModelDescription {
            architecture,
            parameters,
            context_tokens,
            memory_bytes: f64::from(buffer.byte_length()),
        };
        serde_wasm_bindgen::to_value(&description).map_err(invalid_input)
    }

    /// Starts a classification (`ClassifyRequest`).
    pub fn classify(&self, request: JsValue) -> Result<Job, JsValue> {
        let ClassifyMessage { request, policy } =
            serde_wasm_bindgen::from_value(request).map_err(invalid_input)?;
        policy.check().map_err(invalid_input)?;
        let labels = request.labels.iter().map(|label| label.name.clone()).collect();
        let mut shared = self.shared.borrow_mut();
        let Loaded { model, classifier } = shared.as_mut().ok_or_else(busy)?;
        let task = with_model!(model, model => classifier.start(model, request))
            .map_err(|error| to_js(&error))?;
        Ok(Job::new(self.shared.clone(), Task::Classify { task, labels }, policy))
    }

    /// Starts a chat completion (`ChatRequest`).
    pub fn chat(&self, request: JsValue) -> Result<Job, JsValue> {
        let request: ChatMessage =
            serde_wasm_bindgen::from_value(request).map_err(invalid_input)?;
        request.policy.check().map_err(invalid_input)?;
        let mut shared = self.shared.borrow_mut();
        let model = &mut shared.as_mut().ok_or_else(busy)?.model;
        let task = with_model!(model, model => {
            let prompt = model.encode_chat(&request.messages);
            prompt.and_then(|prompt| Generation::new(model, prompt, request.options()))
        })
        .map_err(|error| to_js(&error))?;
        let task = Task::Chat { task, text: String::new(), logprobs: Vec::new() };
        Ok(Job::new(self.shared.clone(), task, request.policy))
    }
}

impl Model {
    pub(crate) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    fn new(model: AnyModel) -> Self {
        let loaded = Loaded { model, classifier: Classifier::default() };
        Self { shared: Rc::new(RefCell::new(Some(loaded))) }
    }
}

/// Progress is told, not asked: what the listener throws is its own affair.
pub(crate) fn tell(on_progress: &Function, loaded: u64, total: u64) {
    let [loaded, total] = [loaded, total].map(|bytes| JsValue::from_f64(bytes as f64));
    let _ = on_progress.call2(&JsValue::UNDEFINED, &loaded, &total);
}

/// The model is lent to a job's step that has not returned.
pub(crate) fn busy() -> JsValue {
    invalid_input("the model is busy with another request")
}
