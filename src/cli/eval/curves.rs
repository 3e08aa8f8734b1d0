//! Points of the charts.

use frontdesk_cascade::guarantee::Judged;
use frontdesk_cascade::metrics::curve;
use serde_json::{Value, json};

/// Points of a curve that are kept.
const POINTS: usize = 60;
const BINS: usize = 10;

/// Share of rows answered and wrong ones among them.
pub(crate) fn risk_coverage(rows: &[Judged]) -> Value {
    let points = curve(rows);
    let every = points.len().div_ceil(POINTS).max(1);
    let kept = points.iter().rev().step_by(every).rev();
    kept.map(|point| json!([round(point.coverage), round(point.selective_risk)])).collect()
}

/// Mean confidence, accuracy and share of the rows, by bins of equally many rows.
pub(crate) fn reliability(rows: &[Judged]) -> Value {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let bins = sorted.chunks(sorted.len().div_ceil(BINS).max(1));
    let bin = |rows: &[Judged]| {
        let count = rows.len() as f64;
        let confidence = rows.iter().map(|row| row.confidence).sum::<f64>() / count;
        let right = rows.iter().filter(|row| row.is_right).count() as f64 / count;
        json!([round(confidence), round(right)])
    };
    bins.map(bin).collect()
}

/// Four digits are more than the rows can tell.
pub(crate) fn round(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}
