//! The nearest examples of a vector: what they are, and how far away.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

/// How many neighbours vote.
const NEIGHBOURS: usize = 10;
/// A neighbour's vote is `exp(cosine / TEMPERATURE)`.
const TEMPERATURE: f32 = 0.05;
/// What every class gets of the votes, so that no class is impossible.
const SMOOTHING: f32 = 1e-3;

/// Examples of length 1, in 8 bits: a cosine is off by less than 0.01.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    width: usize,
    classes: usize,
    /// `[rows, width]`.
    codes: Vec<i8>,
    /// What a row's codes are multiplied by: `[rows]`.
    scales: Vec<f32>,
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
}

impl Neighbours {
    /// Keeps `x`, `[rows, width]`, each of length 1, and its labels, `[rows]`.
    pub fn new(x: ArrayView2<'_, f32>, labels: &[u32], classes: usize) -> Self {
        let (mut codes, mut scales) = (Vec::with_capacity(x.len()), Vec::new());
        for row in x.rows() {
            let scale = quantise(row.iter().copied(), &mut codes);
            scales.push(scale);
        }
        Self { width: x.ncols(), classes, codes, scales, labels: labels.to_vec() }
    }

    /// Number of examples.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Whether labels and sizes fit together, and a vector of `width`.
    pub fn is_sound(&self, width: usize, classes: usize) -> bool {
        self.width == width
            && self.classes == classes
            && self.scales.len() == self.rows()
            && self.rows().checked_mul(width) == Some(self.codes.len())
            && self.labels.iter().all(|label| (*label as usize) < classes)
            && self.scales.iter().all(|scale| scale.is_finite())
    }

    /// Votes of the nearest examples of `x`, `[width]`, of length 1; `skip` is an example that is
    /// not to vote, such as `x` itself.
    pub fn votes(&self, x: &[f32], skip: Option<usize>) -> Votes {
        let mut codes = Vec::with_capacity(self.width);
        let scale = quantise(x.iter().copied(), &mut codes);
        let rows = self.codes.chunks_exact(self.width.max(1)).zip(&self.scales).enumerate();
        let mut nearest: Vec<(f32, u32)> = rows
            .filter(|(index, _)| Some(*index) != skip)
            .map(|(index, (row, row_scale))| {
                (dot(row, &codes) as f32 * scale * row_scale, self.labels[index])
            })
            .collect();
        let count = NEIGHBOURS.min(nearest.len());
        if count == 0 {
            let probabilities = vec![1.0 / self.classes as f32; self.classes];
            return Votes { probabilities, distance: 1.0 };
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
        Votes { probabilities, distance: 1.0 - mean }
    }
}

/// Appends `x` in 8 bits; gives what the codes are multiplied by.
fn quantise(x: impl Iterator<Item = f32> + Clone, codes: &mut Vec<i8>) -> f32 {
    let largest = x.clone().fold(f32::MIN_POSITIVE, |a, b| a.max(b.abs()));
    codes.extend(x.map(|x| (x / largest * 127.0).round() as i8));
    largest / 127.0
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
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
        let votes = three().votes(&[0.96, 0.28], None);
        assert!(votes.probabilities[0] > 0.99);
        // Cosines 0.96, 0.936 and -0.28.
        assert!((votes.distance - (1.0 - 1.616 / 3.0)).abs() < 0.01, "{}", votes.distance);
        assert!((votes.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn an_example_that_is_skipped_has_no_vote() {
        let votes = three().votes(&[0.0, -1.0], Some(2));
        assert!(votes.probabilities[0] > 0.99);
    }

    #[test]
    fn without_examples_all_classes_are_alike() {
        let none = Neighbours::new(ndarray::Array2::zeros((0, 2)).view(), &[], 4);
        let votes = none.votes(&[1.0, 0.0], None);
        assert_eq!(votes, Votes { probabilities: vec![0.25; 4], distance: 1.0 });
    }
}
