//! Simulations over random splits: how often a budget is broken, and what a cascade costs.

use super::curves::round;
use super::rows::split;
use super::trial::{Applied, budget, certified};
use anyhow::Result;
use frontdesk_cascade::guarantee::Judged;
use serde_json::{Value, json};

/// Random splits of the rows.
const SPLITS: u64 = 200;
/// Share of the rows that the threshold is certified on.
const CALIBRATION: f64 = 0.4;

/// Splits rows at random into those that a threshold is certified on and others. All rows together are
/// what the splits are drawn from, so their share of errors is the true one, and a split breaks the budget
/// where that is above it. The others' own share has the luck of a sample in it, and is given too.
pub(crate) fn violations(rows: &[Judged], max_error: f64) -> Result<Value> {
    let (mut broken, mut broken_on_others, mut certified_splits, mut shares) = (0, 0, 0, 0.0);
    for seed in 0..SPLITS {
        let (calibration, others) = split(rows.len(), CALIBRATION, seed);
        let pick = |places: &[usize]| places.iter().map(|place| rows[*place]).collect::<Vec<_>>();
        let (calibration, others) = (pick(&calibration), pick(&others));
        if let Some((threshold, applied)) = certified(&calibration, &others, budget(max_error))? {
            certified_splits += 1;
            shares += applied.local_share;
            broken_on_others += usize::from(applied.added_error > max_error);
            broken += usize::from(Applied::new(rows, threshold).added_error > max_error);
        }
    }
    let share = |count: usize| round(count as f64 / SPLITS as f64);
    Ok(json!({
        "splits": SPLITS,
        "certified": certified_splits,
        "share": share(broken),
        "share_on_others": share(broken_on_others),
        "mean_local_share": round(shares / f64::from(certified_splits.max(1))),
    }))
}

/// A request of the simulated stream.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// The device's answer; one that cannot be right is never right.
    pub(crate) local: Judged,
    /// Tokens that the cloud reads for it.
    pub(crate) input_tokens: f64,
    /// Tokens that the cloud writes.
    pub(crate) output_tokens: f64,
}

/// A token that is written costs as much as so many that are read.
pub(crate) const OUTPUT_PRICE: f64 = 4.0;

impl Request {
    fn price(&self) -> f64 {
        self.input_tokens + OUTPUT_PRICE * self.output_tokens
    }
}

/// Accuracy and cost, as a share of the cloud's for all, of escalating below `threshold`; `accuracy`
/// is the cloud's.
fn at_threshold(requests: &[Request], threshold: f64, accuracy: f64) -> (f64, f64) {
    let (mut right, mut cost, mut all) = (0.0, 0.0, 0.0);
    for request in requests {
        all += request.price();
        if request.local.confidence >= threshold {
            right += f64::from(u8::from(request.local.is_right));
        } else {
            cost += request.price();
            right += accuracy;
        }
    }
    (right / requests.len() as f64, cost / all)
}

/// The cheapest threshold that is as accurate as the cloud alone on `calibration`, applied to `test`.
pub(crate) fn cascade(calibration: &[Request], test: &[Request], accuracy: f64) -> Value {
    let mut thresholds: Vec<f64> = calibration.iter().map(|row| row.local.confidence).collect();
    thresholds.push(2.0);
    thresholds.sort_by(f64::total_cmp);
    // Little is lost by going on from the surest as long as the accuracy holds.
    let holds = |threshold: &f64| at_threshold(calibration, *threshold, accuracy).0 >= accuracy;
    let every = thresholds.len().div_ceil(1000).max(1);
    let threshold = thresholds.iter().step_by(every).copied().find(holds).unwrap_or(2.0);
    let (right, cost) = at_threshold(test, threshold, accuracy);
    let local = test.iter().filter(|row| row.local.confidence >= threshold).count();
    json!({
        "cloud_accuracy": accuracy,
        "threshold": round(threshold),
        "cost_ratio": round(cost),
        "accuracy": round(right),
        "local_share": round(local as f64 / test.len() as f64),
        "curves": curves(test, accuracy),
    })
}

/// Cost and accuracy of escalating the least sure, random ones, and those that are wrong, first.
fn curves(requests: &[Request], accuracy: f64) -> Value {
    let mut by_confidence = requests.to_vec();
    by_confidence.sort_by(|a, b| a.local.confidence.total_cmp(&b.local.confidence));
    let mut by_truth = by_confidence.clone();
    by_truth.sort_by_key(|request| request.local.is_right);
    let path = |order: &[Request]| -> Value {
        let all: f64 = order.iter().map(Request::price).sum();
        let mut right = order.iter().filter(|request| request.local.is_right).count() as f64;
        let mut cost = 0.0;
        let every = order.len().div_ceil(50);
        let mut points = vec![json!([0.0, round(right / order.len() as f64)])];
        for (index, request) in order.iter().enumerate() {
            right += accuracy - f64::from(u8::from(request.local.is_right));
            cost += request.price();
            if (index + 1) % every == 0 || index + 1 == order.len() {
                points.push(json!([round(cost / all), round(right / order.len() as f64)]));
            }
        }
        points.into()
    };
    let local = requests.iter().filter(|request| request.local.is_right).count() as f64;
    json!({
        "least_sure_first": path(&by_confidence),
        "wrong_first": path(&by_truth),
        "random": [[0.0, round(local / requests.len() as f64)], [1.0, accuracy]],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(confidence: f64, is_right: bool) -> Request {
        let local = Judged { confidence, is_right };
        Request { local, input_tokens: 10.0, output_tokens: 0.0 }
    }

    #[test]
    fn a_cascade_is_as_good_as_the_cloud_and_cheaper() {
        let mut rows = vec![request(0.9, true); 80];
        rows.extend([request(0.4, false); 20]);
        let result = cascade(&rows, &rows, 0.95);
        // The sure ones stay here; the others cost a fifth and are right 19 times of 20.
        assert_eq!(result["cost_ratio"], 0.2);
        assert_eq!(result["accuracy"], 0.99);
        assert_eq!(result["curves"]["wrong_first"][0], json!([0.0, 0.8]));
    }

    #[test]
    fn rows_within_the_budget_break_it_rarely() {
        let rows: Vec<Judged> = (0..2000)
            .map(|index| {
                let confidence = f64::from(index) / 2000.0;
                Judged { confidence, is_right: index % 50 != 0 || index > 1500 }
            })
            .collect();
        let result = violations(&rows, 0.02).unwrap();
        assert_eq!(result["certified"], 200);
        assert!(result["share"].as_f64().unwrap() < 0.1, "{result}");
    }
}
