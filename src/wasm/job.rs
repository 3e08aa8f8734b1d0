//! One request in progress, advanced step by step so that the caller can stop between any two.

use crate::error::{invalid_input, to_js};
use crate::messages::{
    Event, LabelProbability, LocalClassification, LocalCompletion, TaskResult, Timing,
    TokenLogprob, Usage,
};
use crate::model::{AnyModel, Loaded, Model, Shared, busy, with_model};
use crate::now;
use frontdesk_cascade::Policy;
use frontdesk_engine::generate::{FinishReason, Generation, Step};
use frontdesk_engine::{Error, ErrorKind};
use frontdesk_tasks::{Classification, Outcome, Progress};
use serde::Serialize;
use std::cell::RefCell;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// What is being done.
pub(crate) enum Task {
    Classify { task: Classification, labels: Vec<String> },
    Chat { task: Generation, text: String, logprobs: Vec<TokenLogprob> },
}

/// One request in progress.
#[wasm_bindgen]
pub struct Job {
    shared: RefCell<Shared>,
    running: RefCell<Option<Running>>,
}

/// A task, what was allowed and the time it took so far.
struct Running {
    task: Task,
    policy: Policy,
    timing: Timing,
}

#[wasm_bindgen]
impl Job {
    /// Does a bounded piece of work and says what it did.
    ///
    /// # Errors
    /// An `EngineError`; the job is over then, the model stays usable.
    pub async fn step(&self) -> Result<JsValue, JsValue> {
        let mut running = self.running.take().ok_or_else(|| invalid_input("the job is over"))?;
        // Both are taken out rather than borrowed: nothing stays borrowed across an await.
        let shared = self.shared.borrow().clone();
        let mut loaded = shared.take().ok_or_else(busy)?;
        let event = running.step(&mut loaded).await;
        shared.replace(Some(loaded));
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // Elsewhere it can go on.
                if error.kind() == ErrorKind::DeviceLost {
                    self.running.replace(Some(running));
                }
                return Err(to_js(&error));
            }
        };
        if !matches!(event, Event::Done { .. }) {
            self.running.replace(Some(running));
        }
        let serializer = serde_wasm_bindgen::Serializer::json_compatible();
        event.serialize(&serializer).map_err(invalid_input)
    }
}

#[wasm_bindgen]
impl Job {
    /// Goes on with another model of the same file, after the device of the first was lost.
    ///
    /// # Errors
    /// An `EngineError` where the job is over, or is a classification, which begins anew instead.
    pub fn resume(&self, model: &Model) -> Result<(), JsValue> {
        let mut running = self.running.borrow_mut();
        let Some(Running { task: Task::Chat { task, .. }, .. }) = &mut *running else {
            return Err(invalid_input("the job cannot go on"));
        };
        let shared = model.shared();
        let mut loaded = shared.borrow_mut();
        let model = &mut loaded.as_mut().ok_or_else(busy)?.model;
        with_model!(model, model => task.resume(model)).map_err(|error| to_js(&error))?;
        self.shared.replace(shared.clone());
        Ok(())
    }
}

impl Job {
    pub(crate) fn new(shared: Shared, task: Task, policy: Policy) -> Self {
        let running = Running { task, policy, timing: Timing::default() };
        Self { shared: RefCell::new(shared), running: RefCell::new(Some(running)) }
    }
}

impl Running {
    async fn step(&mut self, loaded: &mut Loaded) -> Result<Event, Error> {
        let started = now();
        let Self { task, policy, timing } = self;
        let Loaded { model, classifier } = loaded;
        match task {
            Task::Classify { task, labels } => {
                let progress = with_model!(model, model => classifier.step(model, task).await)?;
                timing.add(now() - started, matches!(progress, Progress::Prefill(..)));
                Ok(match progress {
                    Progress::Prefill(done, total) => Event::Prefill { done, total },
                    Progress::Scored => Event::Idle,
                    Progress::Done(outcome) => classification(outcome, labels, *policy, *timing),
                })
            }
            Task::Chat { task, text, logprobs } => {
                let step = with_model!(&mut *model, model => task.step(model).await)?;
                timing.add(now() - started, matches!(step, Step::Prefill(..)));
                Ok(match step {
                    Step::Prefill(done, total) => Event::Prefill { done, total },
                    Step::Token { text: piece, log_probability } => {
                        text.push_str(&piece);
                        let tokenizer = with_model!(model, model => model.tokenizer());
                        let token =
                            log_probability.map(|token| TokenLogprob::new(tokenizer, &token));
                        logprobs.extend(token.clone());
                        Event::Delta {
                            text: piece,
                            confidence: task.confidence(),
                            tokens: task.tokens(),
                            logprobs: token.into_iter().collect(),
                        }
                    }
                    Step::Finished { text: rest, reason } => {
                        text.push_str(&rest);
                        let text = std::mem::take(text);
                        completion(task, text, std::mem::take(logprobs), reason, *policy, *timing)
                    }
                })
            }
        }
    }
}

fn classification(outcome: Outcome, labels: &[String], policy: Policy, timing: Timing) -> Event {
    let Outcome { probabilities, best, usage } = outcome;
    let confidence = probabilities.get(best).copied().unwrap_or(0.0);
    let pairs = labels.iter().cloned().zip(probabilities);
    let result = LocalClassification {
        value: labels.get(best).cloned().unwrap_or_default(),
        probabilities: pairs
            .map(|(label, probability)| LabelProbability { label, probability })
            .collect(),
        confidence,
        decision: policy.decide(confidence),
        usage: Usage {
            prompt_tokens: usage.prompt_tokens,
            cached_tokens: usage.cached_tokens,
            completion_tokens: usage.scored_tokens,
        },
        timing,
        trained: None,
    };
    Event::Done { result: TaskResult::Classification(result) }
}

fn completion(
    task: &Generation,
    text: String,
    logprobs: Vec<TokenLogprob>,
    reason: FinishReason,
    policy: Policy,
    timing: Timing,
) -> Event {
    let (prompt_tokens, cached_tokens) = task.prompt_tokens();
    let confidence = task.confidence();
    let result = LocalCompletion {
        text,
        finish_reason: match reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        },
        confidence,
        decision: policy.decide(confidence),
        logprobs,
        usage: Usage { prompt_tokens, cached_tokens, completion_tokens: task.tokens() },
        timing,
    };
    Event::Done { result: TaskResult::Completion(result) }
}

impl Timing {
    fn add(&mut self, milliseconds: f64, is_prefill: bool) {
        let part = if is_prefill { &mut self.prefill_ms } else { &mut self.decode_ms };
        *part += milliseconds;
        self.total_ms += milliseconds;
    }
}
