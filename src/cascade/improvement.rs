//! A challenger in the place of the champion, where it is shown to be better on rows of neither.
//!
//! The challenger learns from the champion's own examples and from the rows that wait. It is promoted
//! where McNemar's test says that it is better on the fresh rows, and does not say that it is worse on the
//! rows that certify. The threshold is then certified anew.

use crate::comparison::Comparison;
use crate::guarantee::{Guarantee, Judged};
use crate::learning::{Examples, Learning, Report};
use crate::memory::{Purpose, Teacher};
use crate::task::Task;
use crate::task_file::SavedTask;
use crate::{Error, Result};
use serde::Serialize;

/// Probability of promoting a challenger that is not better, and of blaming one that is not worse.
const LEVEL: f64 = 0.05;
/// How often a large model is taken to be right: what it says counts that much, and what the champion
/// thinks the rest.
const TRUST: f32 = 0.9;

/// What became of a challenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is the champion now.
    Promoted,
    /// The fresh rows do not show that it is better.
    NotShownBetter,
    /// It is worse on the rows that certify.
    Worse,
}

/// What became of a challenger, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// Rows that it learnt from in addition.
    pub learnt: usize,
    /// On fresh rows.
    pub fresh: Comparison,
    /// On the rows that certify.
    pub certifying: Comparison,
    /// What the champion of now promises.
    pub guarantee: Option<Guarantee>,
}

/// A challenger being learnt.
pub struct Improvement {
    learning: Learning,
    labels: Vec<String>,
    learnt: usize,
}

impl Improvement {
    /// Prepares a challenger of `champion`; `seed` says which rows are held out.
    ///
    /// # Errors
    /// [`Error::Examples`] where nothing waits to be learnt, or there is nothing to compare on.
    pub fn new(champion: &SavedTask, seed: u64) -> Result<Self> {
        let SavedTask { task, labels, memory, .. } = champion;
        if memory.of(Purpose::Learn).next().is_none() {
            return Err(Error::Examples("there is nothing new to learn from".to_owned()));
        }
        if memory.of(Purpose::Compare).next().is_none() {
            return Err(Error::Examples(
                "there are no fresh rows to compare the new with the old on".to_owned(),
            ));
        }
        let mut labels = labels.clone();
        for (_, kept) in memory.of(Purpose::Learn) {
            if !labels.contains(&kept.label) {
                labels.push(kept.label.clone());
            }
        }
        let mut examples = Examples {
            features: Vec::new(),
            width: task.width(),
            labels: Vec::new(),
            weights: Vec::new(),
            classes: labels.len(),
            soft: Vec::new(),
            names: Vec::new(),
            importance: vec![1.0; task.width()],
        };
        for (row, label) in task.neighbours.examples() {
            examples.features.extend(row);
            examples.labels.push(label);
        }
        let known = examples.labels.len();
        for (row, kept) in memory.of(Purpose::Learn) {
            let label = place(&labels, &kept.label);
            if kept.teacher == Teacher::Cloud {
                let mut soft = vec![0.0; labels.len()];
                let probabilities = task.answer(&row).probabilities;
                for (share, probability) in soft.iter_mut().zip(probabilities) {
                    *share = (1.0 - TRUST) * probability as f32;
                }
                soft[label] += TRUST;
                examples.soft.push((examples.labels.len(), soft));
            }
            examples.features.extend(row);
            examples.labels.push(label as u32);
        }
        examples.weights = vec![1.0; examples.labels.len()];
        let learnt = examples.labels.len() - known;
        Ok(Self { learning: Learning::again(task, examples, seed)?, labels, learnt })
    }

    /// Does a piece of work; false once the challenger is learnt.
    pub fn step(&mut self) -> Result<bool> {
        self.learning.step()
    }

    /// Share of the work that is done, about.
    pub fn progress(&self) -> f64 {
        self.learning.progress()
    }

    /// Compares; the champion of now, and why it is that.
    ///
    /// # Errors
    /// [`Error::Training`] before the last step.
    pub fn conclude(self, champion: &SavedTask) -> Result<(SavedTask, Verdict)> {
        let Self { learning, labels, learnt } = self;
        let (task, report) =
            learning.into_task().ok_or_else(|| Error::Training("nothing was learnt".to_owned()))?;
        let challenger = Answering { task: &task, labels: &labels };
        let before = Answering { task: &champion.task, labels: &champion.labels };
        let compare = |purpose| {
            let rows = champion.memory.of(purpose);
            Comparison::new(rows.map(|(row, kept)| {
                (
                    before.judge(&row, &kept.label).is_right,
                    challenger.judge(&row, &kept.label).is_right,
                )
            }))
        };
        let (fresh, certifying) = (compare(Purpose::Compare)?, compare(Purpose::Certify)?);
        let outcome = if certifying.p_worse <= LEVEL {
            Outcome::Worse
        } else if fresh.p_better <= LEVEL {
            Outcome::Promoted
        } else {
            Outcome::NotShownBetter
        };
        let mut next = champion.clone();
        if outcome == Outcome::Promoted {
            let examples = champion.report.examples + learnt;
            next = SavedTask { task, labels, report: Report { examples, ..report }, ..next };
            next.memory.forget_learnt();
            if let Some(Guarantee { budget, .. }) = champion.guarantee {
                next.certify_again(budget)?;
            }
        }
        next.memory.release_compared();
        let guarantee = next.guarantee;
        Ok((next, Verdict { outcome, learnt, fresh, certifying, guarantee }))
    }
}

/// A task that answers in names.
pub(crate) struct Answering<'a> {
    pub(crate) task: &'a Task,
    pub(crate) labels: &'a [String],
}

impl Answering<'_> {
    /// Its answer to a vector whose label is this one; an answer that is never given here has no
    /// confidence.
    pub(crate) fn judge(&self, vector: &[f32], label: &str) -> Judged {
        let prediction = self.task.answer(vector);
        let is_right = self.labels.get(prediction.best).is_some_and(|answer| answer == label);
        let confidence = if prediction.is_out_of_scope { 0.0 } else { prediction.confidence };
        Judged { confidence, is_right }
    }
}

fn place(labels: &[String], label: &str) -> usize {
    labels.iter().position(|other| other == label).unwrap_or_default()
}
