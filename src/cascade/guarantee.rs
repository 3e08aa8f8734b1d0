//! The threshold with a guarantee: how much may be answered here within an error budget.
//!
//! The bound on an error rate is that of Clopper and Pearson, 1934. Thresholds are tested as a fixed
//! sequence (Angelopoulos et al., Learn then test, 2021): a grid that does not depend on the data, the
//! strictest first, up to the first that fails. For exchangeable rows that nothing else was fitted on,
//! the budget is then broken with a probability of at most `1 - confidence`.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// The share of all rows that are answered here, and wrong.
    Added,
    /// The share of wrong answers among those given here.
    Selective,
}

/// How many errors are allowed, and how sure one is to be of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// What is bounded.
    pub risk: Risk,
    /// Largest share of errors; above 0 and below 1.
    pub max_error: f64,
    /// Probability that it holds; above 0 and below 1.
    pub confidence: f64,
    /// How much more frequent any kind of row may be than among the calibration rows, at least 1:
    /// the budget then holds for rows that are not quite like these. Source: Cauchois et al., Robust
    /// validation, 2020.
    #[serde(default = "no_shift")]
    pub shift: f64,
}

fn no_shift() -> f64 {
    1.0
}

/// A calibration row: how sure its answer was, and whether it was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// 0 to 1; an answer that is never to be given here has 0.
    pub confidence: f64,
    /// Whether it was the right one.
    pub is_right: bool,
}

/// What the calibration rows allow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guarantee {
    /// What was asked for.
    pub budget: Budget,
    /// Calibration rows.
    pub rows: usize,
    /// Rows without any error that the budget takes at least.
    pub needed_rows: usize,
    /// Nothing where there are too few rows, or too many errors among the surest.
    pub certified: Option<Certified>,
}

/// A threshold within the budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certified {
    /// Least confidence of an answer that stands.
    pub threshold: f64,
    /// Calibration rows that are answered here.
    pub accepted: usize,
    /// Wrong ones among these.
    pub errors: usize,
    /// Upper bound of the share of errors, among rows shifted as far as the budget says.
    pub bound: f64,
}

/// Thresholds of the fixed sequence are `logistic(x)` for `x` from the first to the second.
const LOGITS: (f64, f64) = (12.0, -4.0);
const STEPS: usize = 800;
/// Thresholds of the selective risk, which share the chance of failure among them: there, the
/// strictest accept too few rows to begin with them.
const SELECTIVE_STEPS: usize = 32;
const MOST_SHIFT: f64 = 100.0;

impl Budget {
    /// Checks the numbers.
    pub fn check(&self) -> Result<()> {
        let is_share = |x: f64| x > 0.0 && x < 1.0;
        let Self { max_error, confidence, shift, .. } = *self;
        if is_share(max_error) && is_share(confidence) && (1.0..=MOST_SHIFT).contains(&shift) {
            return Ok(());
        }
        Err(Error::Budget(format!(
            "an error budget of {max_error} with a confidence of {confidence} and a shift of {shift}; the \
             first two must be between 0 and 1, the last from 1 to {MOST_SHIFT}"
        )))
    }

    /// Fewest rows, all of them right, whose bound is within the budget.
    pub fn needed_rows(&self) -> usize {
        let failure = (1.0 - self.confidence) / self.tests() as f64;
        // The bound of n rows without an error is 1 - failure^(1/n).
        (failure.ln() / (-self.max_error / self.shift).ln_1p()).ceil() as usize
    }

    fn tests(&self) -> usize {
        match self.risk {
            Risk::Added => 1,
            Risk::Selective => SELECTIVE_STEPS,
        }
    }
}

/// Upper bound, with this confidence, of a rate of which `errors` of `rows` were seen.
pub fn upper_bound(errors: usize, rows: usize, confidence: f64) -> f64 {
    if errors >= rows {
        return 1.0;
    }
    let beta = Beta::new(errors as f64 + 1.0, (rows - errors) as f64);
    beta.map_or(1.0, |beta| beta.inverse_cdf(confidence))
}

/// Finds the lowest threshold within the budget; an answer whose confidence is no number never stands.
///
/// # Errors
/// [`Error::Budget`] for shares that cannot be.
pub fn certify(rows: &[Judged], budget: Budget) -> Result<Guarantee> {
    budget.check()?;
    let mut sorted: Vec<Judged> =
        rows.iter().copied().filter(|row| !row.confidence.is_nan()).collect();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut found = None;
    let (mut accepted, mut errors) = (0, 0);
    let confidence = 1.0 - (1.0 - budget.confidence) / budget.tests() as f64;
    for threshold in thresholds(budget.risk) {
        while let Some(row) = sorted.get(accepted).filter(|row| row.confidence >= threshold) {
            errors += usize::from(!row.is_right);
            accepted += 1;
        }
        let of = match budget.risk {
            Risk::Added => rows.len(),
            Risk::Selective => accepted,
        };
        let bound = budget.shift * upper_bound(errors, of, confidence);
        if bound <= budget.max_error {
            found = Some(Certified { threshold, accepted, errors, bound });
        } else if budget.risk == Risk::Added {
            break;
        }
    }
    let needed_rows = budget.needed_rows();
    Ok(Guarantee { budget, rows: rows.len(), needed_rows, certified: found })
}

fn thresholds(risk: Risk) -> impl Iterator<Item = f64> {
    let steps = match risk {
        Risk::Added => STEPS,
        Risk::Selective => SELECTIVE_STEPS,
    };
    let step = (LOGITS.0 - LOGITS.1) / (steps - 1) as f64;
    (0..steps).map(move |index| 1.0 / (1.0 + (step * index as f64 - LOGITS.0).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    const BUDGET: Budget =
        Budget { risk: Risk::Added, max_error: 0.02, confidence: 0.95, shift: 1.0 };

    #[test]
    fn bounds_are_those_of_the_tables() {
        for (max_error, rows) in [
            (0.02, [(0, 149), (1, 236), (5, 523), (10, 845)]),
            (0.01, [(0, 299), (1, 473), (5, 1049), (10, 1693)]),
            (0.05, [(0, 59), (1, 93), (5, 208), (10, 336)]),
        ] {
            for (errors, rows) in rows {
                assert!(upper_bound(errors, rows, 0.95) <= max_error, "{errors} of {rows}");
                assert!(upper_bound(errors, rows - 1, 0.95) > max_error, "{errors} of {rows} - 1");
            }
            let budget = Budget { max_error, ..BUDGET };
            assert_eq!(budget.needed_rows(), rows[0].1);
        }
        assert_eq!(upper_bound(3, 3, 0.95), 1.0);
    }

    #[test]
    fn too_few_rows_are_no_guarantee() {
        let right = Judged { confidence: 0.99, is_right: true };
        let none = Guarantee { budget: BUDGET, rows: 148, needed_rows: 149, certified: None };
        assert_eq!(certify(&[right; 148], BUDGET).unwrap(), none);
        let certified = certify(&[right; 149], BUDGET).unwrap().certified.unwrap();
        assert_eq!((certified.accepted, certified.errors), (149, 0));
        assert_eq!(certify(&[], BUDGET).unwrap().certified, None);
    }

    #[test]
    fn wrong_answers_and_what_is_no_number_do_not_stand() {
        let wrong = Judged { confidence: 0.9, is_right: false };
        let right = Judged { confidence: 0.99, is_right: true };
        let unsure = Judged { confidence: f64::NAN, is_right: true };
        let rows = [vec![wrong; 100], vec![right; 900], vec![unsure; 50]].concat();
        let Guarantee { rows, certified, .. } = certify(&rows, BUDGET).unwrap();
        let Certified { threshold, accepted, .. } = certified.unwrap();
        assert!(threshold > 0.9 && threshold <= 0.99);
        assert_eq!((accepted, rows), (900, 1050));
    }

    #[test]
    fn budgets_that_cannot_be_are_refused() {
        for (max_error, confidence) in [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0), (f64::NAN, 0.9)] {
            let budget = Budget { max_error, confidence, ..BUDGET };
            assert!(matches!(certify(&[], budget), Err(Error::Budget(_))));
        }
        for shift in [0.9, f64::NAN, f64::INFINITY] {
            let budget = Budget { shift, ..BUDGET };
            assert!(matches!(certify(&[], budget), Err(Error::Budget(_))));
        }
    }

    #[test]
    fn a_shift_takes_a_stricter_bound() {
        let right = Judged { confidence: 0.99, is_right: true };
        let budget = Budget { shift: 2.0, ..BUDGET };
        assert_eq!(budget.needed_rows(), Budget { max_error: 0.01, ..BUDGET }.needed_rows());
        assert_eq!(certify(&[right; 298], budget).unwrap().certified, None);
        let Certified { bound, .. } = certify(&[right; 299], budget).unwrap().certified.unwrap();
        assert!((bound - 0.02).abs() < 1e-4);
    }

    /// Rows whose answers are right with a probability a little below their confidence.
    fn draw(random: &mut Pcg64Mcg, rows: usize) -> Vec<Judged> {
        let row = |_| {
            let confidence = 1.0 - 0.5 * random.random::<f64>().powi(2);
            let is_right = random.random::<f64>() < confidence - 0.02;
            Judged { confidence, is_right }
        };
        (0..rows).map(row).collect()
    }

    /// The true risk of answering at `threshold`, by integration over what [`draw`] draws.
    fn true_risk(threshold: f64, risk: Risk) -> f64 {
        const POINTS: usize = 20_000;
        let confidences =
            (0..POINTS).map(|i| 1.0 - 0.5 * ((i as f64 + 0.5) / POINTS as f64).powi(2));
        let accepted: Vec<f64> = confidences.filter(|c| *c >= threshold).collect();
        let wrong: f64 = accepted.iter().map(|c| 1.02 - c).sum();
        match risk {
            Risk::Added => wrong / POINTS as f64,
            Risk::Selective => wrong / accepted.len().max(1) as f64,
        }
    }

    #[test]
    fn a_budget_is_broken_no_more_often_than_promised() {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        for (risk, max_error) in [(Risk::Added, 0.05), (Risk::Selective, 0.1)] {
            let budget = Budget { risk, max_error, ..BUDGET };
            let (mut broken, mut certified) = (0, 0);
            for _ in 0..400 {
                let rows = draw(&mut random, 1000);
                if let Some(found) = certify(&rows, budget).unwrap().certified {
                    certified += 1;
                    broken += usize::from(true_risk(found.threshold, risk) > max_error);
                }
            }
            // 5% of 400, and three standard deviations of such a count.
            assert!(broken <= 20 + 13, "{risk:?}: broken {broken} of 400 times");
            assert!(certified > 350, "{risk:?}: certified only {certified} of 400 times");
        }
    }
}
