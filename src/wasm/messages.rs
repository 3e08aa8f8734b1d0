//! The shapes of requests, events and results, as `www/sdk/src/protocol.ts` declares them.

use frontdesk_cascade::guarantee::Guarantee;
use frontdesk_cascade::improvement::Verdict;
use frontdesk_cascade::learning::Report;
use frontdesk_cascade::memory::Counts;
use frontdesk_cascade::metrics::Evaluation;
use frontdesk_cascade::task::Prediction;
use frontdesk_cascade::task_file::SavedTask;
use frontdesk_cascade::{Action, Decision, Policy, Reason};
use frontdesk_engine::chat_template::Message;
use frontdesk_engine::generate::{GenerateOptions, TokenLogProbability};
use frontdesk_engine::sampler::SamplerOptions;
use frontdesk_engine::tokenizer::Tokenizer;
use frontdesk_tasks::ClassifyRequest;
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

#[derive(Deserialize)]
pub(crate) struct ClassifyMessage {
    #[serde(flatten)]
    pub(crate) request: ClassifyRequest,
    pub(crate) policy: Policy,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChatMessage {
    pub(crate) messages: Vec<Message>,
    max_tokens: u32,
    temperature: f32,
    top_k: Option<u32>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    seed: Option<u64>,
    stop: Vec<String>,
    top_logprobs: Option<u32>,
    pub(crate) policy: Policy,
}

impl ChatMessage {
    pub(crate) fn options(&self) -> GenerateOptions {
        GenerateOptions {
            max_tokens: self.max_tokens as usize,
            sampler: SamplerOptions {
                temperature: self.temperature,
                top_k: self.top_k.map(|count| count as usize),
                top_p: self.top_p,
                min_p: self.min_p,
                repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
                seed: self.seed.unwrap_or(0),
            },
            stop: self.stop.clone(),
            top_log_probabilities: self.top_logprobs.map(|count| count as usize),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModelDescription<'a> {
    pub(crate) architecture: &'a str,
    pub(crate) parameters: f64,
    pub(crate) context_tokens: usize,
    pub(crate) memory_bytes: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AdapterDescription<'a> {
    pub(crate) name: &'a str,
    pub(crate) driver: &'a str,
    pub(crate) is_software: bool,
    pub(crate) features: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    Prefill { done: usize, total: usize },
    Delta { text: String, confidence: f64, tokens: usize, logprobs: Vec<TokenLogprob> },
    Idle,
    Done { result: TaskResult },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum TaskResult {
    Classification(LocalClassification),
    Completion(LocalCompletion),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: usize,
    pub(crate) cached_tokens: usize,
    pub(crate) completion_tokens: usize,
}

#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timing {
    pub(crate) prefill_ms: f64,
    pub(crate) decode_ms: f64,
    pub(crate) total_ms: f64,
}

#[derive(Serialize)]
pub(crate) struct LabelProbability {
    pub(crate) label: String,
    pub(crate) probability: f64,
}

#[derive(Serialize)]
pub(crate) struct LocalClassification {
    pub(crate) value: String,
    pub(crate) probabilities: Vec<LabelProbability>,
    pub(crate) confidence: f64,
    pub(crate) decision: Decision,
    pub(crate) usage: Usage,
    pub(crate) timing: Timing,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trained: Option<Trained>,
}

/// What a trained task adds to an answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trained {
    strangeness: f64,
    is_out_of_scope: bool,
    /// What was promised, where the threshold in use is within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    guarantee: Option<Guarantee>,
}

impl LocalClassification {
    /// The answer of a task; `holds` says whether its guarantee covers this policy.
    pub(crate) fn of_task(
        saved: &SavedTask,
        prediction: &Prediction,
        policy: Policy,
        holds: bool,
    ) -> Self {
        let probabilities = saved.labels.iter().zip(&prediction.probabilities);
        let decision = policy.decide(prediction.confidence);
        let is_answer = decision.reason == Reason::Confident;
        Self {
            value: saved.labels.get(prediction.best).cloned().unwrap_or_default(),
            probabilities: probabilities
                .map(|(label, probability)| LabelProbability {
                    label: label.clone(),
                    probability: *probability,
                })
                .collect(),
            confidence: prediction.confidence,
            decision: if is_answer && prediction.is_out_of_scope {
                Decision { action: Action::Escalate, reason: Reason::OutOfScope }
            } else {
                decision
            },
            usage: Usage { prompt_tokens: 0, cached_tokens: 0, completion_tokens: 0 },
            timing: Timing::default(),
            trained: Some(Trained {
                strangeness: prediction.strangeness,
                is_out_of_scope: prediction.is_out_of_scope,
                guarantee: saved.guarantee.filter(|_| holds),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LearnRequest {
    pub(crate) texts: Vec<String>,
    /// The name of each text's label.
    pub(crate) labels: Vec<String>,
    /// Whether every label counts the same, however many texts have it.
    pub(crate) balance: bool,
    pub(crate) encoder_sha256: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApplyRequest {
    pub(crate) texts: Vec<String>,
    pub(crate) policy: Policy,
    /// Whether the task's certified threshold, where there is one, goes before the policy's.
    pub(crate) use_certified: bool,
}

/// Texts and the name of each one's right label.
#[derive(Deserialize)]
pub(crate) struct LabelledTexts {
    pub(crate) texts: Vec<String>,
    pub(crate) labels: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskDescription<'a> {
    pub(crate) labels: &'a [String],
    pub(crate) report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guarantee: Option<&'a Guarantee>,
    /// Rows that are kept to certify on and to get better with.
    pub(crate) memory: Counts,
}

/// What one step of a task's job tells.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum TaskEvent {
    Prefill { done: usize, total: usize },
    Learning { share: f64 },
    Done { result: TaskOutcome },
}

/// What a task's job came to.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum TaskOutcome {
    /// A task that was learnt or taught.
    Nothing(()),
    Answers(Vec<LocalClassification>),
    Evaluation(Evaluation),
    Guarantee(Guarantee),
    Verdict(Verdict),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalCompletion {
    pub(crate) text: String,
    pub(crate) finish_reason: &'static str,
    pub(crate) confidence: f64,
    pub(crate) decision: Decision,
    pub(crate) logprobs: Vec<TokenLogprob>,
    pub(crate) usage: Usage,
    pub(crate) timing: Timing,
}

/// OpenAI's shape, whose field names are not camel case.
#[derive(Clone, Serialize)]
pub(crate) struct TokenLogprob {
    #[serde(flatten)]
    chosen: TopLogprob,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Clone, Serialize)]
struct TopLogprob {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl TokenLogprob {
    pub(crate) fn new(tokenizer: &Tokenizer, token: &TokenLogProbability) -> Self {
        let top = |id: u32, logprob: f32| {
            let bytes = tokenizer.token_bytes(id);
            TopLogprob {
                token: String::from_utf8_lossy(bytes).into_owned(),
                logprob,
                bytes: bytes.to_vec(),
            }
        };
        Self {
            chosen: top(token.id, token.log_probability),
            top_logprobs: token.top.iter().map(|(id, logprob)| top(*id, *logprob)).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EncoderDescription<'a> {
    pub(crate) architecture: &'a str,
    pub(crate) parameters: f64,
    pub(crate) dimensions: usize,
    pub(crate) text_tokens: usize,
}

/// What one step of embedding tells.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EmbedEvent {
    Prefill { done: usize, total: usize },
    Done { result: LocalEmbeddings },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalEmbeddings {
    pub(crate) embeddings: Vec<LocalEmbedding>,
    pub(crate) total_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LocalEmbedding {
    /// A `Float32Array`.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    pub(crate) vector: JsValue,
    pub(crate) tokens: usize,
    pub(crate) is_truncated: bool,
}
