//! How good answers are: accuracy, calibration, and what answering only the surest would give.

use crate::guarantee::Judged;
use serde::Serialize;

/// Bins of the calibration errors.
const BINS: usize = 15;

/// Figures over evaluation rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// Rows.
    pub rows: usize,
    /// Share of right answers.
    pub accuracy: f64,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub macro_f1: f64,
    /// Expected calibration error, bins of equal width. Source: Naeini et al., 2015.
    pub ece: f64,
    /// The same with bins of equally many rows.
    pub ece_equal_mass: f64,
    /// Mean squared error of the confidence.
    pub brier: f64,
    /// Mean log-loss of the confidence.
    pub log_loss: f64,
    /// Area under the risk-coverage curve. Source: Geifman et al., 2019.
    pub aurc: f64,
    /// The risk-coverage curve, at most a hundred points.
    pub curve: Vec<CurvePoint>,
    /// `[true class][answered class]`, rows.
    pub confusion: Vec<Vec<u32>>,
}

/// What answering rows of at least a confidence gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurvePoint {
    /// Least confidence of an answer.
    pub threshold: f64,
    /// Share of rows answered.
    pub coverage: f64,
    /// Wrong ones among the answered.
    pub selective_risk: f64,
    /// Wrong answers among all rows.
    pub added_risk: f64,
}

/// An answer beside the right one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Index of the right class.
    pub label: usize,
    /// Index of the class that was answered.
    pub answered: usize,
    /// 0 to 1.
    pub confidence: f64,
}

impl Answer {
    /// Its confidence, and whether it is right.
    pub fn judged(&self) -> Judged {
        Judged { confidence: self.confidence, is_right: self.label == self.answered }
    }
}

/// Evaluates answers of `classes` classes.
pub fn evaluate(answers: &[Answer], classes: usize) -> Evaluation {
    let rows: Vec<Judged> = answers.iter().map(Answer::judged).collect();
    let mut confusion = vec![vec![0; classes]; classes];
    for answer in answers {
        confusion[answer.label][answer.answered] += 1;
    }
    let mean =
        |of: &dyn Fn(&Judged) -> f64| rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64;
    let target = |row: &Judged| f64::from(u8::from(row.is_right));
    let points = curve(&rows);
    let every = points.len().div_ceil(100).max(1);
    Evaluation {
        rows: rows.len(),
        accuracy: mean(&target),
        macro_f1: macro_f1(&confusion),
        ece: ece(&rows, |row, _| (row.confidence * BINS as f64) as usize),
        ece_equal_mass: ece(&rows, |_, rank| rank * BINS / rows.len().max(1)),
        brier: mean(&|row| (row.confidence - target(row)).powi(2)),
        log_loss: mean(&|row| {
            let p = row.confidence.clamp(1e-6, 1.0 - 1e-6);
            -if row.is_right { p.ln() } else { (-p).ln_1p() }
        }),
        aurc: points.iter().map(|point| point.selective_risk).sum::<f64>()
            / points.len().max(1) as f64,
        curve: points.iter().rev().step_by(every).rev().copied().collect(),
        confusion,
    }
}

/// The risk-coverage curve: a point for each row, the surest first.
pub fn curve(rows: &[Judged]) -> Vec<CurvePoint> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut errors = 0;
    let point = |(index, row): (usize, &Judged)| {
        errors += usize::from(!row.is_right);
        CurvePoint {
            threshold: row.confidence,
            coverage: (index + 1) as f64 / rows.len() as f64,
            selective_risk: errors as f64 / (index + 1) as f64,
            added_risk: errors as f64 / rows.len() as f64,
        }
    };
    sorted.iter().enumerate().map(point).collect()
}

/// Probability that a row of `positives` scores above one of `negatives`: the area under the ROC curve.
pub fn auroc(positives: &[f64], negatives: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = positives.iter().map(|score| (*score, true)).collect();
    all.extend(negatives.iter().map(|score| (*score, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut area) = (0.0, 0.0);
    for ties in all.chunk_by(|a, b| a.0 == b.0) {
        let hits = ties.iter().filter(|(_, is_positive)| *is_positive).count() as f64;
        let misses = ties.len() as f64 - hits;
        area += hits * (below + misses / 2.0);
        below += misses;
    }
    area / (positives.len() as f64 * negatives.len() as f64)
}

/// Mean gap between confidence and accuracy over bins; `bin` is given a row and its rank.
fn ece(rows: &[Judged], bin: impl Fn(&Judged, usize) -> usize) -> f64 {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.confidence.total_cmp(&b.confidence));
    let mut gaps = [0.0; BINS];
    for (rank, row) in sorted.iter().enumerate() {
        gaps[bin(row, rank).min(BINS - 1)] += row.confidence - f64::from(u8::from(row.is_right));
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / rows.len().max(1) as f64
}

/// Over the classes that occur.
fn macro_f1(confusion: &[Vec<u32>]) -> f64 {
    let mut scores = Vec::new();
    for (class, row) in confusion.iter().enumerate() {
        let truth: u32 = row.iter().sum();
        let answered: u32 = confusion.iter().map(|row| row[class]).sum();
        if truth + answered > 0 {
            scores.push(2.0 * f64::from(row[class]) / f64::from(truth + answered));
        }
    }
    scores.iter().sum::<f64>() / scores.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<Answer> {
        let answer = |label, answered, confidence| Answer { label, answered, confidence };
        vec![answer(0, 0, 0.9), answer(0, 1, 0.6), answer(1, 1, 0.8), answer(1, 1, 0.7)]
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let figures = evaluate(&answers(), 2);
        assert_eq!(figures.confusion, [[1, 1], [0, 2]]);
        assert_eq!(figures.accuracy, 0.75);
        // F1 of the classes: 2/3 and 4/5.
        assert!((figures.macro_f1 - (2.0 / 3.0 + 0.8) / 2.0).abs() < 1e-12);
        // Every row is a bin of its own.
        assert!((figures.ece - (0.1 + 0.6 + 0.2 + 0.3) / 4.0).abs() < 1e-12);
        assert!((figures.brier - (0.01 + 0.36 + 0.04 + 0.09) / 4.0).abs() < 1e-12);
        assert!((figures.aurc - 0.25 / 4.0).abs() < 1e-12);
        let last = figures.curve.last().unwrap();
        assert_eq!((last.coverage, last.selective_risk, last.added_risk), (1.0, 0.25, 0.25));
    }

    #[test]
    fn no_rows_give_zeros() {
        let figures = evaluate(&[], 2);
        assert_eq!((figures.rows, figures.accuracy, figures.ece), (0, 0.0, 0.0));
        assert!(figures.curve.is_empty());
    }

    #[test]
    fn auroc_counts_ties_as_halves() {
        assert_eq!(auroc(&[2.0, 3.0], &[1.0, 0.0]), 1.0);
        assert_eq!(auroc(&[1.0, 3.0], &[1.0, 2.0]), (0.5 + 0.0 + 1.0 + 1.0) / 4.0);
    }
}
