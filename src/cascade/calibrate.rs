//! Calibration: probabilities become those with which answers are right.
//!
//! A method is kept only where it lowers the log-loss of rows that it was not fitted on.

use crate::guarantee::Judged;
use crate::{Error, Result};
use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::goldensectionsearch::GoldenSectionSearch;
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use serde::{Deserialize, Serialize};

/// With fewer rows, isotonic regression follows chance.
const LEAST_ISOTONIC_ROWS: usize = 200;
/// With fewer rows, nothing is fitted.
const LEAST_ROWS: usize = 20;
/// Probabilities are kept this far from 0 and 1.
const MARGIN: f64 = 1e-6;

/// From the probability of the most likely class to the probability that it is the right one; always
/// increasing, so that the order of answers stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Calibrator {
    /// Probabilities are good as they are.
    Identity,
    /// `logistic(slope * logit(p) + offset)`. Source: Platt, Probabilistic outputs for support vector
    /// machines, 1999.
    Platt {
        /// Above 0.
        slope: f64,
        /// Any number.
        offset: f64,
    },
    /// Straight lines through points of increasing coordinates, from 0 to 1. Source: Oron and
    /// Flournoy, Centered isotonic regression, 2017.
    Isotonic {
        /// `(p, probability of being right)`.
        points: Vec<(f64, f64)>,
    },
}

type Method = fn(&[Judged]) -> Result<Calibrator>;

impl Calibrator {
    /// Chooses and fits a method on rows that the probabilities were not fitted on.
    pub fn fit(rows: &[Judged]) -> Result<Self> {
        if rows.len() < LEAST_ROWS {
            return Ok(Self::Identity);
        }
        let mut best = (log_loss(&Self::Identity, rows), Self::Identity);
        let methods: &[Method] = match rows.len() {
            0..LEAST_ISOTONIC_ROWS => &[Self::platt],
            _ => &[Self::platt, Self::isotonic],
        };
        for method in methods {
            // Each half is judged by what was fitted on the other.
            let halves = [0, 1]
                .map(|half| rows.iter().skip(half).step_by(2).copied().collect::<Vec<Judged>>());
            let mut loss = 0.0;
            for (fitted_on, judged) in [(0, 1), (1, 0)] {
                let share = halves[judged].len() as f64 / rows.len() as f64;
                loss += share * log_loss(&method(&halves[fitted_on])?, &halves[judged]);
            }
            if loss < best.0 {
                best = (loss, method(rows)?);
            }
        }
        Ok(best.1)
    }

    /// Probability that an answer of probability `p` is right.
    pub fn apply(&self, p: f64) -> f64 {
        match self {
            Self::Identity => p,
            Self::Platt { slope, offset } => logistic(slope * logit(p) + offset),
            Self::Isotonic { points } => {
                let after = points.partition_point(|point| point.0 < p);
                let Some((high, low)) = points.get(after).zip(points.get(after.wrapping_sub(1)))
                else {
                    let end = if after == 0 { points.first() } else { points.last() };
                    return end.map_or(p, |end| end.1);
                };
                low.1 + (high.1 - low.1) * (p - low.0) / (high.0 - low.0)
            }
        }
    }

    /// Whether the numbers are as the method demands.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Identity => true,
            Self::Platt { slope, offset } => {
                *slope > 0.0 && slope.is_finite() && offset.is_finite()
            }
            Self::Isotonic { points } => {
                points
                    .iter()
                    .all(|point| (0.0..=1.0).contains(&point.0) && (0.0..=1.0).contains(&point.1))
                    && points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1)
            }
        }
    }

    fn platt(rows: &[Judged]) -> Result<Self> {
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 4);
        let start = vec![1.0, 0.0];
        let result = Executor::new(PlattLoss { rows }, solver)
            .configure(|state| state.param(start).max_iters(50))
            .run()
            .map_err(|error| Error::Training(error.to_string()))?;
        let fitted = result.state().get_best_param().filter(|fitted| fitted[0] > 0.0);
        Ok(fitted
            .map_or(Self::Identity, |fitted| Self::Platt { slope: fitted[0], offset: fitted[1] }))
    }

    fn isotonic(rows: &[Judged]) -> Result<Self> {
        let mut sorted = rows.to_vec();
        sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
        // Blocks of rows with one value each: sums of probabilities and of right answers, and rows.
        let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
        for row in sorted {
            let mut block = (row.confidence, f64::from(u8::from(row.is_right)), 1.0);
            while let Some(last) = blocks.pop_if(|last| last.1 / last.2 >= block.1 / block.2) {
                block = (block.0 + last.0, block.1 + last.1, block.2 + last.2);
            }
            blocks.push(block);
        }
        let mut points: Vec<(f64, f64)> =
            blocks.iter().map(|(p, right, rows)| (p / rows, right / rows)).collect();
        // Beyond the outer blocks nothing is known: half of what is left.
        let (first, last) = match (points.first(), points.last()) {
            (Some(first), Some(last)) => (first.1 / 2.0, (1.0 + last.1) / 2.0),
            _ => return Ok(Self::Identity),
        };
        points.retain(|point| point.0 > 0.0 && point.0 < 1.0);
        points.insert(0, (0.0, first));
        points.push((1.0, last));
        points.dedup_by(|a, b| a.0 <= b.0);
        Ok(Self::Isotonic { points })
    }
}

/// The temperature that log-probabilities are best divided by: `rows` are log-probabilities of all
/// classes, `labels` the right ones. 1 where no other is better on rows it was not fitted on.
pub fn temperature(rows: &[Vec<f32>], labels: &[u32]) -> Result<f64> {
    if rows.len() < LEAST_ROWS {
        return Ok(1.0);
    }
    let losses = [0, 1].map(|half| {
        let part = |(row, label)| (row, label);
        let rows = rows.iter().zip(labels).skip(half).step_by(2).map(part);
        TemperatureLoss { rows: rows.collect() }
    });
    let (mut fitted, mut as_is) = (0.0, 0.0);
    for (fitted_on, judged) in [(0, 1), (1, 0)] {
        fitted += losses[judged].at(losses[fitted_on].best()?);
        as_is += losses[judged].at(1.0);
    }
    if fitted >= as_is {
        return Ok(1.0);
    }
    TemperatureLoss { rows: rows.iter().zip(labels).collect() }.best()
}

struct TemperatureLoss<'a> {
    rows: Vec<(&'a Vec<f32>, &'a u32)>,
}

impl TemperatureLoss<'_> {
    /// Sum of the rows' log-losses.
    fn at(&self, temperature: f64) -> f64 {
        let loss = |(row, label): &(&Vec<f32>, &u32)| {
            let scaled = row.iter().map(|x| f64::from(*x) / temperature);
            let sum: f64 = scaled.clone().map(f64::exp).sum();
            sum.ln() - scaled.clone().nth(**label as usize).unwrap_or(f64::NAN)
        };
        self.rows.iter().map(loss).sum()
    }

    fn best(&self) -> Result<f64> {
        let failed = |error: argmin::core::Error| Error::Training(error.to_string());
        let search = GoldenSectionSearch::new(-2.0, 2.0).map_err(failed)?;
        let search = search.with_tolerance(1e-3).map_err(failed)?;
        let result = Executor::new(LogTemperature(self), search)
            .configure(|state| state.param(0.0).max_iters(40))
            .run()
            .map_err(failed)?;
        Ok(result.state().get_best_param().map_or(1.0, |x: &f64| x.exp()))
    }
}

struct LogTemperature<'a>(&'a TemperatureLoss<'a>);

impl CostFunction for LogTemperature<'_> {
    type Param = f64;
    type Output = f64;

    fn cost(&self, parameter: &f64) -> Result<f64, argmin::core::Error> {
        Ok(self.0.at(parameter.exp()))
    }
}

struct PlattLoss<'a> {
    rows: &'a [Judged],
}

impl CostFunction for PlattLoss<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let calibrator = Calibrator::Platt { slope: parameters[0], offset: parameters[1] };
        Ok(log_loss(&calibrator, self.rows))
    }
}

impl Gradient for PlattLoss<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let mut gradient = vec![0.0; 2];
        for row in self.rows {
            let x = logit(row.confidence);
            let right = f64::from(u8::from(row.is_right));
            let residual = logistic(parameters[0] * x + parameters[1]) - right;
            gradient[0] += residual * x / self.rows.len() as f64;
            gradient[1] += residual / self.rows.len() as f64;
        }
        Ok(gradient)
    }
}

/// Mean log-loss of what the calibrator says of the rows.
fn log_loss(calibrator: &Calibrator, rows: &[Judged]) -> f64 {
    let loss = |row: &Judged| {
        let p = calibrator.apply(row.confidence).clamp(MARGIN, 1.0 - MARGIN);
        -if row.is_right { p.ln() } else { (-p).ln_1p() }
    };
    rows.iter().map(loss).sum::<f64>() / rows.len() as f64
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(MARGIN, 1.0 - MARGIN);
    (p / (1.0 - p)).ln()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    /// Rows that are right with the probability `truth` of their confidence.
    fn rows(count: usize, truth: impl Fn(f64) -> f64) -> Vec<Judged> {
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let row = |_| {
            let confidence = 0.3 + 0.7 * random.random::<f64>();
            Judged { confidence, is_right: random.random::<f64>() < truth(confidence) }
        };
        (0..count).map(row).collect()
    }

    fn worst_error(calibrator: &Calibrator, truth: impl Fn(f64) -> f64) -> f64 {
        let points = (35..98).map(|percent| f64::from(percent) / 100.0);
        points.map(|p| (calibrator.apply(p) - truth(p)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn what_is_calibrated_stays_as_it_is() {
        assert_eq!(Calibrator::fit(&rows(19, |_| 0.5)).unwrap(), Calibrator::Identity);
        let calibrator = Calibrator::fit(&rows(4000, |p| p)).unwrap();
        assert!(worst_error(&calibrator, |p| p) < 0.06, "{calibrator:?}");
    }

    #[test]
    fn boasts_are_seen_through() {
        let truth = |p: f64| logistic(0.5 * logit(p) - 0.4);
        let calibrator = Calibrator::fit(&rows(150, truth)).unwrap();
        assert!(matches!(calibrator, Calibrator::Platt { .. }));
        assert!(worst_error(&calibrator, truth) < 0.15, "{calibrator:?}");
        let step = |p: f64| if p < 0.7 { 0.2 } else { 0.9 };
        let calibrator = Calibrator::fit(&rows(4000, step)).unwrap();
        assert!(matches!(calibrator, Calibrator::Isotonic { .. }));
        assert!(calibrator.apply(0.5) < 0.35 && calibrator.apply(0.9) > 0.8, "{calibrator:?}");
    }

    #[test]
    fn the_order_of_answers_stays() {
        for method in [Calibrator::platt, Calibrator::isotonic] {
            let calibrator = method(&rows(500, |p| p * p)).unwrap();
            assert!(calibrator.is_sound(), "{calibrator:?}");
            let values: Vec<f64> =
                (0..=1000).map(|i| calibrator.apply(f64::from(i) / 1000.0)).collect();
            assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{calibrator:?}");
            assert!(values.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn a_temperature_undoes_a_scale() {
        let mut random = Pcg64Mcg::seed_from_u64(4);
        let mut sample = |scale: f32| {
            let (mut rows, mut labels) = (Vec::new(), Vec::new());
            for _ in 0..2000 {
                let x: Vec<f32> = (0..3).map(|_| 4.0 * random.random::<f32>()).collect();
                let sum: f32 = x.iter().map(|x| x.exp()).sum();
                let mut draw = random.random::<f32>() * sum;
                let label = x.iter().position(|x| {
                    draw -= x.exp();
                    draw < 0.0
                });
                labels.push(label.unwrap_or(2) as u32);
                rows.push(x.iter().map(|x| x * scale).collect());
            }
            temperature(&rows, &labels).unwrap()
        };
        assert!((sample(3.0) - 3.0).abs() < 0.3);
        assert!((sample(1.0) - 1.0).abs() < 0.1);
    }
}
