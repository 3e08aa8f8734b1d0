//! The gate: which texts are so unlike the examples that no class may be theirs.
//!
//! Two signs are added, each less its mean and in units of its deviation over the examples: the
//! energy of the logits (Liu et al., Energy-based out-of-distribution detection, 2020) and the distance
//! of the nearest examples (Sun et al., Out-of-distribution detection with deep nearest neighbors, 2022).

use serde::{Deserialize, Serialize};

/// Share of texts like the examples that pass.
const PASS: f64 = 0.99;
const LEAST_DEVIATION: f64 = 1e-6;

/// What is unlike the examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    energy: Scale,
    distance: Scale,
    /// Texts above are out of scope.
    cut: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Scale {
    mean: f64,
    deviation: f64,
}

/// What the gate looks at: larger is stranger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signs {
    /// Minus the logarithm of the sum of the exponentials of the logits.
    pub energy: f64,
    /// 1 less the mean cosine with the nearest examples.
    pub distance: f64,
}

impl Signs {
    /// Of a text's logits, and its distance.
    pub fn new<'a>(logits: impl IntoIterator<Item = &'a f32> + Clone, distance: f32) -> Self {
        let largest = logits.clone().into_iter().fold(f32::MIN, |a, b| a.max(*b));
        let sum: f32 = logits.into_iter().map(|x| (x - largest).exp()).sum();
        Self { energy: -f64::from(largest + sum.ln()), distance: f64::from(distance) }
    }
}

impl Gate {
    /// Learns from texts like those to come, which neither logits nor neighbours were fitted on.
    pub fn fit(examples: &[Signs]) -> Self {
        let energy = Scale::fit(examples.iter().map(|signs| signs.energy));
        let distance = Scale::fit(examples.iter().map(|signs| signs.distance));
        let mut gate = Self { energy, distance, cut: f64::INFINITY };
        let mut scores: Vec<f64> = examples.iter().map(|signs| gate.score(*signs)).collect();
        scores.sort_by(f64::total_cmp);
        let place = (PASS * scores.len() as f64).ceil() as usize;
        // A finite number even without examples: files cannot hold others.
        gate.cut = scores.get(place.saturating_sub(1)).copied().unwrap_or(f64::MAX);
        gate
    }

    /// How unlike the examples a text is: 0 on average, larger is stranger.
    pub fn score(&self, signs: Signs) -> f64 {
        self.energy.apply(signs.energy) + self.distance.apply(signs.distance)
    }

    /// Whether a text of this score is out of scope; what is no number is.
    pub fn is_out_of_scope(&self, score: f64) -> bool {
        score.is_nan() || score > self.cut
    }

    /// Whether all numbers are finite.
    pub fn is_sound(&self) -> bool {
        let Self { energy, distance, cut } = self;
        [energy.mean, energy.deviation, distance.mean, distance.deviation, *cut]
            .iter()
            .all(|x| x.is_finite())
    }
}

impl Scale {
    fn fit(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count().max(1) as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt().max(LEAST_DEVIATION) }
    }

    fn apply(&self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(index: usize) -> Signs {
        Signs { energy: (index % 10) as f64, distance: (index / 10) as f64 }
    }

    #[test]
    fn one_in_a_hundred_examples_does_not_pass() {
        let examples: Vec<Signs> = (0..100).map(signs).collect();
        let gate = Gate::fit(&examples);
        let out = examples.iter().filter(|signs| gate.is_out_of_scope(gate.score(**signs)));
        assert_eq!(out.count(), 1);
        assert!(gate.score(Signs { energy: 4.5, distance: 4.5 }).abs() < 1e-9);
        assert!(gate.is_out_of_scope(gate.score(Signs { energy: 9.0, distance: 20.0 })));
        assert!(gate.is_out_of_scope(f64::NAN));
    }

    #[test]
    fn without_examples_all_pass() {
        let gate = Gate::fit(&[]);
        assert!(gate.is_sound());
        assert!(!gate.is_out_of_scope(gate.score(signs(3))));
    }

    #[test]
    fn energy_is_the_log_of_the_sum_of_exponentials() {
        let signs = Signs::new(&[1.0_f32, 2.0, 3.0], 0.5);
        assert!((signs.energy + 3.407_606).abs() < 1e-5);
        assert_eq!(signs.distance, 0.5);
    }
}
