//! Trained tasks, as JavaScript holds them: learning, applying, judging, certifying, files.

use crate::encoder::Shared;
use crate::error::{coded, invalid_input, to_js};
use crate::messages::{
    ApplyRequest, LabelledTexts, LearnRequest, LocalClassification, TaskDescription, TaskEvent,
    TaskOutcome,
};
use crate::model::busy;
use crate::now;
use frontdesk_cascade::guarantee::Budget;
use frontdesk_cascade::improvement::Improvement;
use frontdesk_cascade::learning::{Examples, Learning, balanced};
use frontdesk_cascade::memory::{Memory, Teacher};
use frontdesk_cascade::task_file::{SavedTask, Source};
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::{EmbeddingModel, Embeddings};
use frontdesk_tasks::text_features::{TEXT_FEATURES, importance, taps, words};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Which examples are held out; the same examples then give the same task.
const SEED: u64 = 1;

type Saved = Rc<RefCell<SavedTask>>;

/// A trained task.
#[wasm_bindgen]
pub struct Task {
    saved: Saved,
}

#[wasm_bindgen]
impl Task {
    /// Reads a task's file, for the encoder of this SHA-256.
    ///
    /// # Errors
    /// An `EngineError` of code `invalid_task`.
    pub fn open(bytes: &[u8], encoder_sha256: String) -> Result<Task, JsValue> {
        let saved = SavedTask::from_bytes(bytes, &source(encoder_sha256)).map_err(task_error)?;
        Ok(Self { saved: Rc::new(RefCell::new(saved)) })
    }

    /// The task's file.
    pub fn export(&self) -> Result<Vec<u8>, JsValue> {
        self.saved.borrow().to_bytes().map_err(task_error)
    }

    /// Labels, how it was learnt, its guarantee, and what it keeps.
    pub fn describe(&self) -> Result<JsValue, JsValue> {
        let SavedTask { labels, report, guarantee, memory, .. } = &*self.saved.borrow();
        let (guarantee, memory) = (guarantee.as_ref(), memory.counts());
        send(&TaskDescription { labels, report, guarantee, memory })
    }

    /// Certifies a threshold on the rows that the task keeps for that.
    pub fn recertify(&self, budget: JsValue) -> Result<JsValue, JsValue> {
        let budget: Budget = serde_wasm_bindgen::from_value(budget).map_err(invalid_input)?;
        send(&self.saved.borrow_mut().certify_again(budget).map_err(task_error)?)
    }
}

/// Texts becoming vectors, and then a task or answers.
#[wasm_bindgen]
pub struct TaskJob {
    shared: Shared<Cpu>,
    running: RefCell<Option<Running>>,
    learnt: RefCell<Option<Saved>>,
}

struct Running {
    stage: Stage,
    milliseconds: f64,
}

enum Stage {
    Reading { texts: Embeddings, then: Then },
    Learning { learning: Box<Learning>, labels: Vec<String>, source: Source },
    Improving { improvement: Box<Improvement>, champion: Saved },
}

/// What is done with the vectors of the texts.
enum Then {
    Learn(LearnRequest),
    Apply(Saved, ApplyRequest),
    /// With the right label of each text.
    Judge(Saved, Vec<String>, Judge),
}

/// What right labels are for.
pub(crate) enum Judge {
    Evaluate,
    Certify(Budget),
    Teach(Teacher),
    /// Learn a challenger, and compare it on the texts and on what the task keeps for that.
    Improve,
}

/// What a step leads to.
enum Next {
    Go(Stage, TaskEvent),
    /// A task in the place of the one before, and what else there is to say.
    Task(Box<SavedTask>, TaskOutcome),
    Done(TaskOutcome),
}

#[wasm_bindgen]
impl TaskJob {
    /// Does a bounded piece of work and says what it did.
    ///
    /// # Errors
    /// An `EngineError`; the job is over then, the encoder stays usable.
    pub async fn step(&self) -> Result<JsValue, JsValue> {
        let running = self.running.take().ok_or_else(|| invalid_input("the job is over"))?;
        // Both are taken out rather than borrowed: nothing stays borrowed across an await.
        let mut model = self.shared.take().ok_or_else(busy)?;
        let started = now();
        let next = running.stage.step(&mut model).await;
        self.shared.replace(Some(model));
        let milliseconds = running.milliseconds + now() - started;
        let event = match next? {
            Next::Go(stage, event) => {
                self.running.replace(Some(Running { stage, milliseconds }));
                event
            }
            Next::Task(saved, result) => {
                self.learnt.replace(Some(Rc::new(RefCell::new(*saved))));
                TaskEvent::Done { result }
            }
            Next::Done(mut result) => {
                if let TaskOutcome::Answers(answers) = &mut result {
                    for answer in answers {
                        answer.timing.total_ms = milliseconds;
                        answer.timing.prefill_ms = milliseconds;
                    }
                }
                TaskEvent::Done { result }
            }
        };
        send(&event)
    }

    /// The task, after the last step of learning or improving.
    pub fn task(&self) -> Result<Task, JsValue> {
        let saved = self.learnt.take().ok_or_else(|| invalid_input("nothing was learnt"))?;
        Ok(Task { saved })
    }
}

impl TaskJob {
    /// Starts to learn a task.
    pub(crate) fn learn(shared: &Shared<Cpu>, request: JsValue) -> Result<Self, JsValue> {
        let request: LearnRequest =
            serde_wasm_bindgen::from_value(request).map_err(invalid_input)?;
        if request.texts.len() != request.labels.len() {
            return Err(invalid_input("there are not as many labels as texts"));
        }
        // The names of the labels are read as texts, after the others.
        let names: BTreeSet<&String> = request.labels.iter().collect();
        let names = names.into_iter().map(|name| words(name));
        let texts: Vec<String> = request.texts.iter().cloned().chain(names).collect();
        Self::read(shared, &texts, Then::Learn(request))
    }

    /// Starts to answer with a task.
    pub(crate) fn apply(
        shared: &Shared<Cpu>,
        task: &Task,
        request: JsValue,
    ) -> Result<Self, JsValue> {
        let request: ApplyRequest =
            serde_wasm_bindgen::from_value(request).map_err(invalid_input)?;
        request.policy.check().map_err(invalid_input)?;
        let texts = request.texts.clone();
        Self::read(shared, &texts, Then::Apply(Rc::clone(&task.saved), request))
    }

    /// Starts to judge, certify, teach or improve a task by texts and their right labels.
    pub(crate) fn judge(
        shared: &Shared<Cpu>,
        task: &Task,
        request: JsValue,
        judge: Judge,
    ) -> Result<Self, JsValue> {
        let LabelledTexts { texts, labels } =
            serde_wasm_bindgen::from_value(request).map_err(invalid_input)?;
        if texts.len() != labels.len() {
            return Err(invalid_input("there are not as many labels as texts"));
        }
        Self::read(shared, &texts, Then::Judge(Rc::clone(&task.saved), labels, judge))
    }

    fn read(shared: &Shared<Cpu>, texts: &[String], then: Then) -> Result<Self, JsValue> {
        let started = now();
        let model = shared.borrow();
        let model = model.as_ref().ok_or_else(busy)?;
        let texts = model.features(texts, taps(model)).map_err(|error| to_js(&error))?;
        let stage = Stage::Reading { texts, then };
        let running = Running { stage, milliseconds: now() - started };
        Ok(Self {
            shared: Rc::clone(shared),
            running: RefCell::new(Some(running)),
            learnt: RefCell::new(None),
        })
    }
}

impl Stage {
    async fn step(self, model: &mut EmbeddingModel<Cpu>) -> Result<Next, JsValue> {
        match self {
            Self::Reading { mut texts, then } => {
                if texts.step(model).await.map_err(|error| to_js(&error))? {
                    let (done, total) = texts.progress();
                    return Ok(Next::Go(
                        Self::Reading { texts, then },
                        TaskEvent::Prefill { done, total },
                    ));
                }
                let vectors = texts.into_embeddings().into_iter().map(|text| text.vector).collect();
                match then {
                    Then::Learn(request) => Self::start(model, request, vectors),
                    Then::Apply(saved, request) => answer(&saved.borrow(), &request, &vectors),
                    Then::Judge(saved, labels, judge) => judge.step(saved, &labels, &vectors),
                }
            }
            Self::Learning { mut learning, labels, source } => {
                if learning.step().map_err(task_error)? {
                    let share = learning.progress();
                    let stage = Self::Learning { learning, labels, source };
                    return Ok(Next::Go(stage, TaskEvent::Learning { share }));
                }
                let learnt = learning.into_task();
                let (task, report) = learnt.ok_or_else(|| invalid_input("nothing was learnt"))?;
                let memory = Memory::new(task.width());
                let saved = SavedTask { source, labels, task, report, guarantee: None, memory };
                Ok(Next::Task(Box::new(saved), TaskOutcome::Nothing(())))
            }
            Self::Improving { mut improvement, champion } => {
                if improvement.step().map_err(task_error)? {
                    let share = improvement.progress();
                    let stage = Self::Improving { improvement, champion };
                    return Ok(Next::Go(stage, TaskEvent::Learning { share }));
                }
                let concluded = improvement.conclude(&champion.borrow());
                let (next, verdict) = concluded.map_err(task_error)?;
                Ok(Next::Task(Box::new(next), TaskOutcome::Verdict(verdict)))
            }
        }
    }

    fn start(
        model: &EmbeddingModel<Cpu>,
        request: LearnRequest,
        vectors: Vec<Vec<f32>>,
    ) -> Result<Next, JsValue> {
        let names: BTreeSet<String> = request.labels.iter().cloned().collect();
        let names: Vec<String> = names.into_iter().collect();
        let places = places(&names);
        let rows = request.texts.len();
        let labels: Vec<u32> =
            request.labels.iter().map(|label| places[label.as_str()] as u32).collect();
        let importance = importance(model);
        let examples = Examples {
            width: importance.len(),
            features: vectors[..rows].concat(),
            weights: match request.balance {
                true => balanced(&labels, names.len()),
                false => vec![1.0; rows],
            },
            labels,
            classes: names.len(),
            soft: Vec::new(),
            names: vectors[rows..].concat(),
            importance,
        };
        drop(vectors);
        let learning = Box::new(Learning::new(examples, SEED).map_err(task_error)?);
        let source = source(request.encoder_sha256);
        let stage = Self::Learning { learning, labels: names, source };
        Ok(Next::Go(stage, TaskEvent::Learning { share: 0.0 }))
    }
}

impl Judge {
    fn step(self, saved: Saved, labels: &[String], vectors: &[Vec<f32>]) -> Result<Next, JsValue> {
        let rows = || vectors.iter().map(Vec::as_slice).zip(labels.iter().map(String::as_str));
        // A task that is changed is changed as a whole: what fails leaves the one before.
        let copy = || saved.borrow().clone();
        match self {
            Self::Evaluate => {
                let evaluation = saved.borrow().evaluate(rows()).map_err(task_error)?;
                Ok(Next::Done(TaskOutcome::Evaluation(evaluation)))
            }
            Self::Certify(budget) => {
                let mut changed = copy();
                let guarantee = changed.certify(rows(), budget).map_err(task_error)?;
                Ok(Next::Task(Box::new(changed), TaskOutcome::Guarantee(guarantee)))
            }
            Self::Teach(teacher) => {
                let mut changed = copy();
                for (vector, label) in rows() {
                    changed.teach(vector, label.to_owned(), teacher).map_err(task_error)?;
                }
                Ok(Next::Task(Box::new(changed), TaskOutcome::Nothing(())))
            }
            Self::Improve => {
                let mut changed = copy();
                for (vector, label) in rows() {
                    changed.compare_on(vector, label.to_owned()).map_err(task_error)?;
                }
                let improvement = Box::new(Improvement::new(&changed, SEED).map_err(task_error)?);
                let champion = Rc::new(RefCell::new(changed));
                let stage = Stage::Improving { improvement, champion };
                Ok(Next::Go(stage, TaskEvent::Learning { share: 0.0 }))
            }
        }
    }
}

fn answer(
    saved: &SavedTask,
    request: &ApplyRequest,
    vectors: &[Vec<f32>],
) -> Result<Next, JsValue> {
    let certified = saved.guarantee.and_then(|guarantee| guarantee.certified);
    let mut policy = request.policy;
    if let Some(certified) = certified.filter(|_| request.use_certified) {
        policy.threshold = certified.threshold;
    }
    let holds = certified.is_some_and(|certified| policy.threshold >= certified.threshold);
    let answers = vectors.iter().map(|vector| {
        let prediction = saved.task.predict(vector).map_err(task_error)?;
        Ok(LocalClassification::of_task(saved, &prediction, policy, holds))
    });
    Ok(Next::Done(TaskOutcome::Answers(answers.collect::<Result<_, JsValue>>()?)))
}

fn source(encoder_sha256: String) -> Source {
    Source { encoder_sha256, features: TEXT_FEATURES.to_owned() }
}

fn places(labels: &[String]) -> HashMap<&str, usize> {
    labels.iter().map(String::as_str).zip(0..).collect()
}

pub(crate) fn send<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(invalid_input)
}

pub(crate) fn task_error(error: frontdesk_cascade::Error) -> JsValue {
    let code = match error {
        frontdesk_cascade::Error::TaskFile(_) => "invalid_task",
        _ => "invalid_input",
    };
    coded(&error.to_string(), code)
}
