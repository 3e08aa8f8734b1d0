//! Zero-shot classification: each label is scored by how likely the model would write it.
//!
//! All texts share the beginning of the prompt, which stays in the KV cache. A label's score is its
//! log-probability after the text minus that after a text without content: without this contextual
//! calibration a small model answers with its favourite label whatever the text says. Source: Zhao
//! et al., Calibrate Before Use, 2021. A softmax over the scores gives the probabilities.

use crate::biases::{Asked, Biases};
use crate::scoring::Scoring;
use frontdesk_engine::backend::Backend;
use frontdesk_engine::chat_template::{Message, Role};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Most labels of one request.
pub const MOST_LABELS: usize = 256;

/// With more labels than this, no examples are shown: they would fill the context.
const MOST_SHOWN_LABELS: usize = 24;

/// Texts without content, whose scores are the labels' biases.
const CONTENT_FREE: [&str; 2] = ["N/A", "..."];

/// A label to choose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// What is answered.
    pub name: String,
    /// What it means, shown to the model.
    pub description: Option<String>,
}

/// A text and the labels it may get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClassifyRequest {
    /// The text.
    pub text: String,
    /// At least two, with different names.
    pub labels: Vec<Label>,
    /// What the text is, in a few words; by default "customer message".
    pub subject: Option<String>,
    /// What is asked of the text, whose answers the labels are; by default what it is about.
    pub question: Option<String>,
    /// Whether a made-up text is shown for each label; by default so. Without them a question
    /// is followed by the meanings of the labels that have a description.
    pub examples: Option<bool>,
}

/// What a classification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// In the order of the labels; their sum is 1.
    pub probabilities: Vec<f64>,
    /// Index of the most likely label.
    pub best: usize,
    /// What was read and scored for it.
    pub usage: Usage,
}

/// Tokens of all prompts of a classification: the text's, and on the first use of a label set and
/// question those of the texts without content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of prompts.
    pub prompt_tokens: usize,
    /// Tokens of prompts that were cached.
    pub cached_tokens: usize,
    /// Tokens of labels that were scored.
    pub scored_tokens: usize,
}

/// What one step did: tokens of the prompt that are in, of how many; or the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Part of a prompt is in.
    Prefill(usize, usize),
    /// Tokens of labels were read or scored.
    Scored,
    /// All is done.
    Done(Outcome),
}

/// Remembers the biases of the label sets and questions last used.
#[derive(Default)]
pub struct Classifier {
    biases: Biases,
}

/// One classification in progress.
pub struct Classification {
    asked: Asked,
    /// Token ids of each label.
    labels: Vec<Vec<u32>>,
    /// Texts still to be scored, from the last to the first, which is the request's own.
    pending: Vec<String>,
    scoring: Option<Scoring>,
    /// Sums of the labels' log-probabilities after texts without content.
    bias_sums: Vec<f64>,
    usage: Usage,
}

impl Classifier {
    /// Starts a classification.
    ///
    /// # Errors
    /// `InvalidInput` for fewer than two labels, too many, empty ones or two of one name;
    /// `ContextOverflow` for a text that does not fit.
    pub fn start<B: Backend>(
        &self,
        model: &LanguageModel<B>,
        request: ClassifyRequest,
    ) -> Result<Classification> {
        check(&request)?;
        let ClassifyRequest { text, labels, subject, question, examples } = request;
        let subject = subject.unwrap_or_else(|| "customer message".to_owned());
        let asked = Asked { labels, subject, question, examples: examples.unwrap_or(true) };
        let labels = asked.labels.iter().map(|label| model.tokenizer().encode(&label.name));
        let labels = labels.collect::<Result<Vec<_>>>()?;
        let known = self.biases.find(&asked);
        let mut pending = vec![text];
        if known.is_none() {
            pending.extend(CONTENT_FREE.map(str::to_owned));
        }
        let task = Classification {
            bias_sums: known.map_or_else(|| vec![0.0; labels.len()], <[f64]>::to_vec),
            asked,
            labels,
            pending,
            scoring: None,
            usage: Usage::default(),
        };
        // A text that does not fit is told now, not after the texts without content.
        let prompt = model.encode_chat(&task.asked.messages(&task.pending[0]))?;
        let needed = prompt.len() + task.longest_label();
        if needed > model.capacity() {
            return Err(Error::context_overflow(needed, model.capacity()));
        }
        Ok(task)
    }

    /// Does the next piece of work: a chunk of a prompt, a pass over tokens of labels, or the
    /// scores of a few of them.
    pub async fn step<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        task: &mut Classification,
    ) -> Result<Progress> {
        let Some(scoring) = &mut task.scoring else {
            let text = task.pending.last().ok_or_else(finished)?;
            let prompt = model.encode_chat(&task.asked.messages(text))?;
            let prefill = model.begin(prompt, task.longest_label())?;
            let progress = Progress::Prefill(prefill.cached(), prefill.total());
            task.scoring = Some(Scoring::new(prefill));
            return Ok(progress);
        };
        if !scoring.prefilled {
            scoring.advance(model, &task.labels).await?;
            return Ok(Progress::Prefill(model.length(), scoring.prefill.total()));
        }
        if scoring.score(model, &task.labels).await? {
            return Ok(Progress::Scored);
        }
        let scores = std::mem::take(&mut scoring.scores);
        task.usage.prompt_tokens += scoring.prefill.total();
        task.usage.cached_tokens += scoring.prefill.cached();
        task.usage.scored_tokens += task.labels.iter().map(Vec::len).sum::<usize>();
        task.scoring = None;
        task.pending.pop();
        if !task.pending.is_empty() {
            task.bias_sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
            if task.pending.len() == 1 {
                self.biases.remember(&task.asked, &task.bias_sums);
            }
            return Ok(Progress::Scored);
        }
        // It was used last.
        self.biases.remember(&task.asked, &task.bias_sums);
        let count = CONTENT_FREE.len() as f64;
        let calibrated = scores.iter().zip(&task.bias_sums).map(|(score, sum)| score - sum / count);
        let probabilities = softmax(calibrated.collect());
        let best = (0..probabilities.len())
            .max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]).then(b.cmp(&a)));
        Ok(Progress::Done(Outcome { best: best.unwrap_or(0), probabilities, usage: task.usage }))
    }
}

fn finished() -> Error {
    Error::new(ErrorKind::InvalidInput, "the classification is over")
}

fn check(request: &ClassifyRequest) -> Result<()> {
    let ClassifyRequest { labels, .. } = request;
    let problem =
        if labels.len() < 2 || labels.len() > MOST_LABELS {
            format!("{} labels; 2 to {MOST_LABELS} are possible", labels.len())
        } else if labels.iter().any(|label| label.name.trim().is_empty()) {
            "a label is empty".to_owned()
        } else if let Some(label) = labels.iter().enumerate().find_map(|(index, label)| {
            labels[..index].iter().find(|other| other.name == label.name)
        }) {
            format!("the label '{}' is given twice", label.name.escape_debug())
        } else {
            return Ok(());
        };
    Err(Error::new(ErrorKind::InvalidInput, problem))
}

fn softmax(mut scores: Vec<f64>) -> Vec<f64> {
    let largest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores
}

impl Classification {
    /// Tokens of the longest label.
    fn longest_label(&self) -> usize {
        self.labels.iter().map(Vec::len).max().unwrap_or(0)
    }
}

impl Asked {
    /// The same question about one made-up text for each label, then about the text.
    ///
    /// Measured on training rows of three data sets against a list of the labels in the
    /// instructions (a small model then repeats one of them whatever the text says) and against
    /// an open question alone.
    fn messages(&self, text: &str) -> Vec<Message> {
        let message = |role, content| Message { role, content };
        let question = |text: &str| message(Role::User, self.about(text));
        let mut messages = vec![message(Role::System, self.instructions())];
        if self.shows_examples() {
            for Label { name, description } in &self.labels {
                let meaning = description.as_ref().unwrap_or(name);
                messages.push(question(&format!("I need help with {meaning}.")));
                messages.push(message(Role::Assistant, name.clone()));
            }
        }
        messages.push(question(text));
        messages
    }

    fn instructions(&self) -> String {
        let subject = &self.subject;
        match self.question {
            None => format!("You sort {subject}s by topic."),
            Some(_) => format!("You answer questions about a {subject}."),
        }
    }

    /// The text comes before the question: several questions share its part of the KV cache.
    fn about(&self, text: &str) -> String {
        match &self.question {
            None => format!("\"{text}\"\n\nWhat is this {} about?", self.subject),
            Some(question) => format!("\"{text}\"\n\n{question}{}", self.told_labels()),
        }
    }

    /// What the labels mean, where that was said and no examples show it. The names alone are not
    /// told: a small model then repeats one of them.
    fn told_labels(&self) -> String {
        if self.shows_examples() || self.labels.len() > MOST_SHOWN_LABELS {
            return String::new();
        }
        let mut told = String::new();
        for Label { name, description } in &self.labels {
            if let Some(description) = description {
                let gap = if told.is_empty() { "\n\n" } else { "\n" };
                told += &format!("{gap}{name}: {description}");
            }
        }
        told
    }

    fn shows_examples(&self) -> bool {
        self.examples && self.labels.len() <= MOST_SHOWN_LABELS
    }
}
