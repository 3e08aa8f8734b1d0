//! The nearest examples of a vector: what they are, and how far away.

use crate::rows::Rows;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// How many neighbours vote.
const NEIGHBOURS: usize = 10;
/// A neighbour's vote is `exp(cosine / TEMPERATURE)`.
const TEMPERATURE: f32 = 0.05;
/// What every class gets of the votes, so that no class is impossible.
const SMOOTHING: f32 = 1e-3;

/// Examples and their labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    classes: usize,
    rows: Rows,
    /// `[rows]`.
    labels: Vec<u32>,
}

/// What the neighbours of a vector say.
#[derive(Clone, Debug, PartialEq)]
pub struct Votes {
    /// `[classes]`, sum 1.
    pub probabilities: Vec<f32>,
    /// 1 less the mean cosine with the neighbours.
    pub distance: f32,
    /// The cosine with the nearest; -1 where there is none.
    pub nearest: f32,
}

impl Neighbours {
    /// Keeps `x`, `[rows, width]`, each of length 1, and its labels, `[rows]`.
    pub fn new(x: ArrayView2<'_, f32>, labels: &[u32], classes: usize) -> Self {
        let mut rows = Rows::new(x.ncols());
        x.rows().into_iter().for_each(|row| rows.push(&row.to_vec()));
        Self { classes, rows, labels: labels.to_vec() }
    }

    /// The examples, each with its label.
    pub fn examples(&self) -> impl ExactSizeIterator<Item = (Vec<f32>, u32)> {
        self.rows.iter().zip(self.labels.iter().copied())
    }

    /// Whether labels and sizes fit together, and a vector of `width`.
    pub fn is_sound(&self, width: usize, classes: usize) -> bool {
        self.classes == classes
            && self.rows.is_sound(width)
            && self.rows.len() == self.labels.len()
            && self.labels.iter().all(|label| (*label as usize) < classes)
    }

    /// Votes of the nearest examples of `x`, `[width]`, of length 1.
    pub fn votes(&self, x: &[f32]) -> Votes {
        let mut other = Rows::new(x.len());
        other.push(x);
        let mut nearest: Vec<(f32, u32)> =
            self.rows.cosines(&other).zip(self.labels.iter().copied()).collect();
        let count = NEIGHBOURS.min(nearest.len());
        if count == 0 {
            let probabilities = vec![1.0 / self.classes as f32; self.classes];
            return Votes { probabilities, distance: 1.0, nearest: -1.0 };
        }
        nearest.select_nth_unstable_by(count - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        nearest.truncate(count);
        let largest = nearest.iter().fold(f32::MIN, |a, b| a.max(b.0));
        let mut probabilities = vec![SMOOTHING; self.classes];
        let weight = |cosine: f32| ((cosine - largest) / TEMPERATURE).exp();
        let total: f32 = nearest.iter().map(|(cosine, _)| weight(*cosine)).sum();
        for (cosine, label) in &nearest {
            probabilities[*label as usize] += weight(*cosine) / total;
        }
        let sum: f32 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
        let mean = nearest.iter().map(|(cosine, _)| cosine).sum::<f32>() / count as f32;
        Votes { probabilities, distance: 1.0 - mean, nearest: largest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    fn three() -> Neighbours {
        let x = arr2(&[[1.0, 0.0], [0.8, 0.6], [0.0, -1.0]]);
        Neighbours::new(x.view(), &[0, 0, 1], 2)
    }

    #[test]
    fn the_nearest_vote_most() {
        let votes = three().votes(&[0.96, 0.28]);
        assert!(votes.probabilities[0] > 0.99);
        // Cosines 0.96, 0.936 and -0.28.
        assert!((votes.distance - (1.0 - 1.616 / 3.0)).abs() < 0.01, "{}", votes.distance);
        assert!((votes.nearest - 0.96).abs() < 0.01, "{}", votes.nearest);
        assert!((votes.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn without_examples_all_classes_are_alike() {
        let none = Neighbours::new(ndarray::Array2::zeros((0, 2)).view(), &[], 4);
        let votes = none.votes(&[1.0, 0.0]);
        assert_eq!(votes, Votes { probabilities: vec![0.25; 4], distance: 1.0, nearest: -1.0 });
    }
}
