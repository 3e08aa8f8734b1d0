//! Chooses the next token from logits: penalty, min-p, top-k, top-p, then a draw at the temperature.

use crate::backend::Choice;
use crate::noise::{self, noise};
use crate::{Error, ErrorKind, Result};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// How the next token is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Logits are divided by this; 0 takes the most likely token.
    pub temperature: f32,
    /// Only the most likely so many tokens may be drawn.
    pub top_k: Option<usize>,
    /// Only the most likely tokens whose probabilities reach this sum may be drawn.
    ///
    /// Source: Holtzman et al., The Curious Case of Neural Text Degeneration, 2020.
    pub top_p: Option<f32>,
    /// Only tokens at least this share as likely as the most likely one may be drawn.
    ///
    /// Source: Nguyen et al., Turning Up the Heat: Min-p Sampling, 2024.
    pub min_p: Option<f32>,
    /// Positive logits of tokens seen before are divided by this, negative ones multiplied.
    ///
    /// Source: Keskar et al., CTRL, 2019.
    pub repetition_penalty: f32,
    /// The same seed draws the same tokens.
    pub seed: u64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

impl SamplerOptions {
    fn check(&self) -> Result<()> {
        let share = |value: Option<f32>| value.is_none_or(|value| (0.0..=1.0).contains(&value));
        let problem = if !(self.temperature >= 0.0 && self.temperature <= 100.0) {
            "temperature must be from 0 to 100"
        } else if self.top_k == Some(0) {
            "top_k must be at least 1"
        } else if !share(self.top_p) || self.top_p == Some(0.0) {
            "top_p must be above 0 and at most 1"
        } else if !share(self.min_p) {
            "min_p must be from 0 to 1"
        } else if !(0.01..=100.0).contains(&self.repetition_penalty) {
            "repetition_penalty must be from 0.01 to 100"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidInput, problem))
    }
}

/// Draws tokens; remembers only its random state.
pub struct Sampler {
    options: SamplerOptions,
    random: Pcg64Mcg,
    /// Tokens that may be drawn, each with the distance of its logit from the largest.
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler with checked options.
    pub fn new(options: SamplerOptions) -> Result<Self> {
        options.check()?;
        let random = Pcg64Mcg::seed_from_u64(options.seed);
        Ok(Self { options, random, candidates: Vec::new() })
    }

    /// Goes back to where so many tokens were drawn.
    pub(crate) fn rewind(&mut self, draws: usize) {
        self.random = Pcg64Mcg::seed_from_u64(self.options.seed);
        if self.options.temperature > 0.0 {
            for _ in 0..draws {
                let _: u32 = self.random.random();
            }
        }
    }

    /// The next choice, for a backend that chooses.
    pub fn choice(&mut self, alternatives: usize) -> Choice {
        let SamplerOptions { temperature, repetition_penalty: penalty, .. } = self.options;
        let (top_k, draw) = match temperature {
            0.0 => (Some(1), 0),
            _ => (self.options.top_k, self.random.random()),
        };
        let top_p = self.options.top_p.unwrap_or(1.0);
        Choice { top_k, temperature, top_p, reach: self.reach(), draw, penalty, alternatives }
    }

    /// Chooses a token. `logits` are changed by the penalty on `seen` tokens.
    pub fn sample(&mut self, logits: &mut [f32], seen: &[u32]) -> Result<u32> {
        self.penalise(logits, seen);
        let best = best_token(logits)?;
        if self.options.temperature == 0.0 {
            return Ok(best);
        }
        self.find_candidates(logits, logits[best as usize]);
        Ok(self.draw(best))
    }

    fn penalise(&self, logits: &mut [f32], seen: &[u32]) {
        let penalty = self.options.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        for (index, token) in seen.iter().enumerate() {
            if seen[..index].contains(token) {
                continue;
            }
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }

    /// How far a candidate's logit may be from the largest.
    fn reach(&self) -> f32 {
        let least = self.options.min_p.unwrap_or(0.0);
        (self.options.temperature * (1.0 / least).ln()).min(f32::MAX)
    }

    fn find_candidates(&mut self, logits: &[f32], largest: f32) {
        let reach = self.reach();
        let Self { options: SamplerOptions { temperature, top_k, top_p, .. }, candidates, .. } =
            self;
        candidates.clear();
        let distances = (0..).zip(logits.iter().map(|logit| largest - logit));
        candidates.extend(distances.filter(|(_, distance)| *distance <= reach));
        let order = |a: &(u32, f32), b: &(u32, f32)| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0));
        if let Some(count) = top_k.filter(|&count| count < candidates.len()) {
            candidates.select_nth_unstable_by(count - 1, order);
            candidates.truncate(count);
        }
        let Some(share) = top_p.filter(|&share| share < 1.0) else { return };
        candidates.sort_unstable_by(order);
        let weight = |(_, distance): &(u32, f32)| (-distance / *temperature).exp();
        let total: f32 = candidates.iter().map(weight).sum();
        let mut sum = 0.0;
        let kept = candidates.iter().take_while(|candidate| {
            let wanted = sum < share * total;
            sum += weight(candidate);
            wanted
        });
        let kept = kept.count();
        candidates.truncate(kept);
    }

    /// The candidate whose logit and noise are the largest together; of equals the first of the vocabulary.
    fn draw(&mut self, best: u32) -> u32 {
        let draw = self.random.random();
        let temperature = self.options.temperature;
        let mut drawn = (best, temperature * noise(draw, best));
        for &(token, distance) in &self.candidates {
            // Most are so unlikely that no noise can help.
            if temperature * noise::MOST - distance < drawn.1 {
                continue;
            }
            let score = temperature * noise(draw, token) - distance;
            if score > drawn.1 || (score == drawn.1 && token < drawn.0) {
                drawn = (token, score);
            }
        }
        drawn.0
    }
}

/// The most likely token.
///
/// # Errors
/// `InvalidModel` when a logit is not a finite number, as damaged weights make them.
pub fn best_token(logits: &[f32]) -> Result<u32> {
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in (0..).zip(logits) {
        if !logit.is_finite() {
            return Err(Error::invalid_model("the model computed a number that is not finite"));
        }
        if best.is_none_or(|(_, largest)| logit > largest) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token)
        .ok_or_else(|| Error::invalid_model("the model computed no number at all"))
}

/// Natural logarithm of the sum of the exponentials of `logits`.
pub fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = logits.iter().fold(f32::MIN, |a, &b| a.max(b));
    // Eight sums, so that the loop runs on vector lanes and rounds less.
    let mut sums = [0.0f32; 8];
    let (chunks, rest) = logits.as_chunks::<8>();
    for chunk in chunks {
        for (sum, logit) in sums.iter_mut().zip(chunk) {
            *sum += (logit - largest).exp();
        }
    }
    let rest: f32 = rest.iter().map(|logit| (logit - largest).exp()).sum();
    largest + (sums.iter().sum::<f32>() + rest).ln()
}

/// The `count` most likely tokens with their natural log-probabilities, most likely first.
pub fn top_log_probabilities(logits: &[f32], log_sum: f32, count: usize) -> Vec<(u32, f32)> {
    let mut top: Vec<(u32, f32)> = Vec::with_capacity(count + 1);
    for (token, &logit) in (0..).zip(logits) {
        let place = top.partition_point(|(_, other)| *other >= logit);
        if place < count {
            top.insert(place, (token, logit));
            top.truncate(count);
        }
    }
    top.iter_mut().for_each(|(_, logit)| *logit -= log_sum);
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_of(options: SamplerOptions, logits: &[f32], token: u32) -> f64 {
        let mut sampler = Sampler::new(options).unwrap();
        let draws = 20_000;
        let hits = (0..draws)
            .filter(|_| sampler.sample(&mut logits.to_vec(), &[]).unwrap() == token)
            .count();
        hits as f64 / f64::from(draws)
    }

    const LOGITS: [f32; 4] = [1.0, 3.0, 2.0, -1.0];

    #[test]
    fn zero_temperature_takes_the_largest() {
        let mut sampler = Sampler::new(SamplerOptions::default()).unwrap();
        assert_eq!(sampler.sample(&mut LOGITS.to_vec(), &[]).unwrap(), 1);
    }

    #[test]
    fn draws_follow_the_softmax_at_the_temperature() {
        for temperature in [0.5f32, 1.0, 2.0] {
            let options = SamplerOptions { temperature, ..Default::default() };
            let weights = LOGITS.map(|logit| f64::from(logit / temperature).exp());
            for token in 0..4 {
                let expected = weights[token] / weights.iter().sum::<f64>();
                let actual = share_of(options.clone(), &LOGITS, token as u32);
                assert!((actual - expected).abs() < 0.015, "{token}: {actual}, {expected}");
            }
        }
    }

    #[test]
    fn truncations_keep_the_right_tokens() {
        let base = SamplerOptions { temperature: 1.0, ..Default::default() };
        let two = 1.0 / (1.0 + (-1.0f64).exp());
        for options in [
            SamplerOptions { top_k: Some(2), ..base.clone() },
            SamplerOptions { top_p: Some(0.8), ..base.clone() },
            SamplerOptions { min_p: Some(0.3), ..base.clone() },
        ] {
            assert!((share_of(options.clone(), &LOGITS, 1) - two).abs() < 0.015, "{options:?}");
            assert_eq!(share_of(options, &LOGITS, 0), 0.0);
        }
        let one = SamplerOptions { top_p: Some(0.01), ..base };
        assert_eq!(share_of(one, &LOGITS, 1), 1.0);
    }

    #[test]
    fn the_penalty_counts_a_token_once() {
        let options = SamplerOptions { repetition_penalty: 2.0, ..Default::default() };
        let mut logits = LOGITS.to_vec();
        let token = Sampler::new(options).unwrap().sample(&mut logits, &[1, 1, 3, 99]).unwrap();
        assert_eq!((token, logits), (2, vec![1.0, 1.5, 2.0, -2.0]));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| {
            let options = SamplerOptions { temperature: 2.0, seed, ..Default::default() };
            let mut sampler = Sampler::new(options).unwrap();
            let draws = (0..32).map(|_| sampler.sample(&mut LOGITS.to_vec(), &[]).unwrap());
            draws.collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn bad_options_and_bad_logits_are_refused() {
        let base = SamplerOptions::default();
        for options in [
            SamplerOptions { temperature: -1.0, ..base.clone() },
            SamplerOptions { temperature: f32::NAN, ..base.clone() },
            SamplerOptions { top_k: Some(0), ..base.clone() },
            SamplerOptions { top_p: Some(1.5), ..base.clone() },
            SamplerOptions { min_p: Some(-0.1), ..base.clone() },
            SamplerOptions { repetition_penalty: 0.0, ..base.clone() },
        ] {
            let error = Sampler::new(options).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::InvalidInput));
        }
        for logits in [vec![], vec![f32::NAN], vec![0.0, f32::INFINITY], vec![f32::NEG_INFINITY]] {
            assert_eq!(best_token(&logits).unwrap_err().kind(), ErrorKind::InvalidModel);
        }
    }

    #[test]
    fn log_probabilities_are_normalised_and_ordered() {
        let log_sum = log_sum_exp(&LOGITS);
        let top = top_log_probabilities(&LOGITS, log_sum, 3);
        assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 2, 0]);
        let all = top_log_probabilities(&LOGITS, log_sum, 9);
        let sum: f32 = all.iter().map(|(_, log)| log.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6);
    }
}
