//! A trained task: feature vectors in, calibrated probabilities of classes and strangeness out.
//!
//! A logistic head and the nearest examples each give probabilities; their weighted geometric mean is
//! what counts.

use crate::calibrate::Calibrator;
use crate::gate::{Gate, Signs};
use crate::head::Head;
use crate::neighbours::{Neighbours, Votes};
use crate::rows::Rows;
use crate::standardise::Standardiser;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub(crate) standardiser: Standardiser,
    pub(crate) head: Head,
    pub(crate) neighbours: Neighbours,
    pub(crate) mixture: Mixture,
    pub(crate) calibrator: Calibrator,
    pub(crate) gate: Gate,
}

/// How probabilities of head and neighbours become one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mixture {
    /// What the neighbours' logarithms count, 0 to 1; the head's count the rest.
    pub share: f32,
    /// What the logarithms are divided by in the end.
    pub temperature: f32,
}

/// What a task says of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// `[classes]`, sum 1.
    pub probabilities: Vec<f64>,
    /// Index of the most likely class.
    pub best: usize,
    /// Calibrated probability that it is the right one.
    pub confidence: f64,
    /// How unlike the examples the vector is: 0 on average, larger is stranger.
    pub strangeness: f64,
    /// What that is made of.
    pub signs: Signs,
    /// Cosine with the nearest example, -1 to 1.
    pub nearest: f32,
    /// Whether that is too much for any class.
    pub is_out_of_scope: bool,
}

impl Mixture {
    /// Log-probabilities of the classes, whose exponentials have the sum 1.
    pub(crate) fn apply(self, logits: ArrayView1<'_, f32>, votes: &Votes) -> Vec<f32> {
        let log_sum = log_sum_exp(logits.iter().copied());
        let mixed = logits.iter().zip(&votes.probabilities).map(|(logit, vote)| {
            ((1.0 - self.share) * (logit - log_sum) + self.share * vote.ln()) / self.temperature
        });
        let log_sum = log_sum_exp(mixed.clone());
        mixed.map(|x| x - log_sum).collect()
    }
}

impl Task {
    /// Elements of a feature vector.
    pub fn width(&self) -> usize {
        self.standardiser.width()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.head.classes()
    }

    /// Whether all parts fit together and every number is one that the parts can work with.
    pub(crate) fn is_sound(&self) -> bool {
        let (width, classes) = (self.width(), self.classes());
        let Mixture { share, temperature } = self.mixture;
        classes >= 2
            && width > 0
            && self.standardiser.is_sound()
            && self.head.is_sound(width)
            && self.neighbours.is_sound(width, classes)
            && (0.0..=1.0).contains(&share)
            && temperature > 0.0
            && temperature.is_finite()
            && self.calibrator.is_sound()
            && self.gate.is_sound()
    }

    /// The vector that answers are found for, `[width]`, of `features`, `[width]`.
    ///
    /// It has no more detail than a kept one, so that a row gets the same answer later.
    ///
    /// # Errors
    /// For features of another length, or such that are not finite.
    pub fn vector(&self, features: &[f32]) -> Result<Vec<f32>> {
        if !features.iter().all(|x| x.is_finite()) {
            return Err(Error::NotFinite("a text's vector"));
        }
        let row = ArrayView2::from_shape((1, self.width()), features).map_err(|_| {
            let (given, width) = (features.len(), self.width());
            Error::Examples(format!("a vector of {given} numbers; the task takes {width}"))
        })?;
        let row = self.standardiser.apply(row.to_owned());
        Ok(Rows::round(&row.into_raw_vec_and_offset().0))
    }

    /// What `features`, `[width]`, most likely are.
    ///
    /// # Errors
    /// As [`Task::vector`].
    pub fn predict(&self, features: &[f32]) -> Result<Prediction> {
        Ok(self.answer(&self.vector(features)?))
    }

    /// What a vector of [`Task::vector`] most likely is.
    pub fn answer(&self, vector: &[f32]) -> Prediction {
        let votes = self.neighbours.votes(vector);
        let logits = self.head.logits(&Array2::from_shape_fn((1, vector.len()), |at| vector[at.1]));
        let log_probabilities = self.mixture.apply(logits.row(0), &votes);
        let (best, confidence) = surest(&log_probabilities);
        let signs = Signs::new(logits.iter(), votes.distance);
        let strangeness = self.gate.score(signs);
        Prediction {
            probabilities: log_probabilities.iter().map(|x| f64::from(*x).exp()).collect(),
            best,
            confidence: self.calibrator.apply(confidence),
            strangeness,
            signs,
            nearest: votes.nearest,
            is_out_of_scope: self.gate.is_out_of_scope(strangeness),
        }
    }
}

/// Index and probability of the most likely class; the first of equals.
pub(crate) fn surest(log_probabilities: &[f32]) -> (usize, f64) {
    let best = (0..log_probabilities.len())
        .max_by(|&a, &b| log_probabilities[a].total_cmp(&log_probabilities[b]).then(b.cmp(&a)));
    best.map_or((0, 0.0), |best| (best, f64::from(log_probabilities[best]).exp().min(1.0)))
}

pub(crate) fn log_sum_exp(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = values.clone().fold(f32::MIN, f32::max);
    largest + values.map(|x| (x - largest).exp()).sum::<f32>().ln()
}
