//! A task learnt from some vectors and tried on others.

use super::vectors::Vectors;
use anyhow::{Context, Result};
use frontdesk_cascade::guarantee::{Budget, Certified, Judged, Risk, certify};
use frontdesk_cascade::learning::{Examples, Learning, Report};
use frontdesk_cascade::metrics::Answer;
use frontdesk_cascade::task::{Prediction, Task};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Vectors with their labels.
pub(crate) struct Labelled {
    pub(crate) vectors: Vectors,
    pub(crate) labels: Vec<u32>,
}

/// What all tasks of a data set share.
pub(crate) struct Setting {
    /// Vectors of the labels' names.
    pub(crate) names: Vectors,
    /// How much of a vector's length each element counts.
    pub(crate) importance: Vec<f32>,
}

impl Labelled {
    /// The rows of these indices.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let vectors = Vectors { width: self.vectors.width, values: self.vectors.select(rows) };
        Self { vectors, labels: rows.iter().map(|row| self.labels[*row]).collect() }
    }
}

impl Setting {
    /// Learns from the rows.
    pub(crate) fn learn(&self, rows: &Labelled, seed: u64) -> Result<(Task, Report)> {
        let Vectors { width, ref values } = self.names;
        let examples = Examples {
            features: rows.vectors.values.clone(),
            width,
            weights: vec![1.0; rows.labels.len()],
            labels: rows.labels.clone(),
            classes: values.len() / width,
            soft: Vec::new(),
            names: values.clone(),
            importance: self.importance.clone(),
        };
        let mut learning = Learning::new(examples, seed)?;
        while learning.step()? {}
        learning.into_task().context("the task was not learnt")
    }
}

/// What the task says of each row.
pub(crate) fn predict(task: &Task, vectors: &Vectors) -> Result<Vec<Prediction>> {
    let rows = vectors.values.chunks_exact(vectors.width);
    rows.map(|row| Ok(task.predict(row)?)).collect()
}

/// The predictions beside the right labels.
pub(crate) fn answers(predictions: &[Prediction], labels: &[u32]) -> Vec<Answer> {
    let rows = predictions.iter().zip(labels);
    rows.map(|(prediction, label)| Answer {
        label: *label as usize,
        answered: prediction.best,
        confidence: prediction.confidence,
    })
    .collect()
}

/// The same as the threshold sees them: what is out of scope is never answered here.
pub(crate) fn judged(predictions: &[Prediction], labels: &[u32]) -> Vec<Judged> {
    let rows = predictions.iter().zip(labels);
    rows.map(|(prediction, label)| Judged {
        confidence: if prediction.is_out_of_scope { 0.0 } else { prediction.confidence },
        is_right: prediction.best == *label as usize,
    })
    .collect()
}

/// At most this share of all rows is answered here and wrong, with 95% confidence.
pub(crate) fn budget(max_error: f64) -> Budget {
    Budget { risk: Risk::Added, max_error, confidence: 0.95, shift: 1.0 }
}

/// What a threshold that was certified elsewhere does to these rows.
pub(crate) struct Applied {
    /// Share of the rows that is answered here.
    pub(crate) local_share: f64,
    /// Wrong ones among all rows.
    pub(crate) added_error: f64,
}

/// Certifies on some rows and applies to others; nothing where there is no guarantee.
pub(crate) fn certified(
    calibration: &[Judged],
    rows: &[Judged],
    budget: Budget,
) -> Result<Option<(f64, Applied)>> {
    let Some(Certified { threshold, .. }) = certify(calibration, budget)?.certified else {
        return Ok(None);
    };
    Ok(Some((threshold, Applied::new(rows, threshold))))
}

impl Applied {
    /// What answering from `threshold` on does to the rows.
    pub(crate) fn new(rows: &[Judged], threshold: f64) -> Self {
        let accepted = rows.iter().filter(|row| row.confidence >= threshold);
        let errors = accepted.clone().filter(|row| !row.is_right).count();
        let share = |count: usize| count as f64 / rows.len() as f64;
        Self { local_share: share(accepted.count()), added_error: share(errors) }
    }
}

/// Runs `work` for each seed, on all cores; results are in the order of the seeds.
pub(crate) fn each_seed<T: Send>(
    seeds: u64,
    work: impl Fn(u64) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let result = work(seed);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((seed, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The middle value; of an even number, the mean of the two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
