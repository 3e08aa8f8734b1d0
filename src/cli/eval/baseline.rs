//! The baseline of every table: tf-idf of words and pairs of words, and the same logistic regression.
//!
//! Terms that occur in one text only are left out; frequencies are damped by a logarithm and vectors
//! have length 1. Source: Manning et al., Introduction to information retrieval, 2008, chapter 6.

use anyhow::Result;
use frontdesk_cascade::head::{Design, Head, HeadFit, HeadOptions, Targets};
use ndarray::{Array2, Zip};
use std::collections::HashMap;
use std::rc::Rc;

/// Penalty, as a share of one over the number of rows; the best of 0.03, 0.01 and 0.003 on training rows
/// of Banking77.
const STRENGTH: f64 = 0.01;
const ITERATIONS: u64 = 60;

/// Rows of a few numbers each.
pub(crate) struct SparseRows {
    width: usize,
    /// Element and value, by row.
    rows: Vec<Vec<(u32, f32)>>,
}

impl Design for SparseRows {
    fn shape(&self) -> (usize, usize) {
        (self.rows.len(), self.width)
    }

    fn is_finite(&self) -> bool {
        self.rows.iter().flatten().all(|(_, value)| value.is_finite())
    }

    fn logits(&self, weights: &Array2<f32>) -> Array2<f32> {
        let by_element = weights.t().as_standard_layout().into_owned();
        let mut logits = Array2::zeros((self.rows.len(), weights.nrows()));
        for (row, mut logits) in self.rows.iter().zip(logits.rows_mut()) {
            for (element, value) in row {
                logits.scaled_add(*value, &by_element.row(*element as usize));
            }
        }
        logits
    }

    fn gradient(&self, residuals: &Array2<f32>) -> Array2<f32> {
        let mut by_element = Array2::zeros((self.width, residuals.ncols()));
        for (row, residuals) in self.rows.iter().zip(residuals.rows()) {
            for (element, value) in row {
                let mut sums = by_element.row_mut(*element as usize);
                Zip::from(&mut sums).and(residuals).for_each(|sum, x| *sum += value * x);
            }
        }
        by_element.reversed_axes().as_standard_layout().into_owned()
    }
}

/// Terms and how rare they are.
struct Vocabulary {
    terms: HashMap<String, (u32, f32)>,
}

impl Vocabulary {
    fn new(texts: &[&str]) -> Self {
        let mut counts: HashMap<String, u32> = HashMap::new();
        for text in texts {
            for term in terms(text).into_keys() {
                *counts.entry(term).or_default() += 1;
            }
        }
        let mut kept: Vec<(String, u32)> =
            counts.into_iter().filter(|(_, count)| *count > 1).collect();
        // The order of the terms decides that of sums.
        kept.sort_unstable();
        let rarity = |count: u32| ((1.0 + texts.len() as f32) / (1.0 + count as f32)).ln() + 1.0;
        let place =
            |(index, (term, count)): (usize, (String, u32))| (term, (index as u32, rarity(count)));
        Self { terms: kept.into_iter().enumerate().map(place).collect() }
    }

    fn rows(&self, texts: &[&str]) -> SparseRows {
        let row = |text: &&str| {
            let mut row: Vec<(u32, f32)> = terms(text)
                .into_iter()
                .filter_map(|(term, count)| {
                    let (element, rarity) = self.terms.get(&term)?;
                    Some((*element, (1.0 + (count as f32).ln()) * rarity))
                })
                .collect();
            row.sort_unstable_by_key(|(element, _)| *element);
            let length = row.iter().map(|(_, x)| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|(_, x)| *x /= length);
            row
        };
        SparseRows { width: self.terms.len(), rows: texts.iter().map(row).collect() }
    }
}

/// Words and pairs of neighbouring words, with how often they occur.
fn terms(text: &str) -> HashMap<String, u32> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut terms = HashMap::new();
    for word in &words {
        *terms.entry((*word).to_owned()).or_default() += 1;
    }
    for pair in words.windows(2) {
        *terms.entry(pair.join(" ")).or_default() += 1;
    }
    terms
}

/// Share of the answers that are right.
pub(crate) fn accuracy(answers: &[(usize, f64)], labels: &[u32]) -> f64 {
    let rows = answers.iter().zip(labels);
    let right = rows.filter(|((best, _), label)| *best == **label as usize).count();
    right as f64 / answers.len() as f64
}

/// Learns from texts and labels; gives each test text's most likely label and its probability.
pub(crate) fn predict(
    (texts, labels): (&[&str], &[u32]),
    classes: usize,
    test: &[&str],
) -> Result<Vec<(usize, f64)>> {
    let vocabulary = Vocabulary::new(texts);
    let features = vocabulary.rows(texts);
    let mut targets = Array2::zeros((texts.len(), classes));
    for (row, label) in labels.iter().enumerate() {
        targets[[row, *label as usize]] = 1.0;
    }
    let head = Head::zeros(classes, features.width);
    let weights = vec![1.0; texts.len()];
    let targets = Rc::new(Targets { features, classes: targets, weights });
    let options = HeadOptions { l2: STRENGTH / texts.len() as f64, iterations: ITERATIONS };
    let mut fit = HeadFit::new(head, targets, options)?;
    while fit.step()? {}
    let logits = fit.into_head().logits(&vocabulary.rows(test));
    let surest = |row: ndarray::ArrayView1<'_, f32>| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let (best, largest) = best.map_or((0, 0.0), |(best, largest)| (best, *largest));
        let sum: f64 = row.iter().map(|x| f64::from(x - largest).exp()).sum();
        (best, 1.0 / sum)
    };
    Ok(logits.rows().into_iter().map(surest).collect())
}
