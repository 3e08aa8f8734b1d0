//! Few examples with and without the language model's label scores.

use super::curves::round;
use super::decisions::Options;
use super::rows::{Row, few, label_indices, label_names, read_rows, split};
use super::trial::{Labelled, Setting, each_seed, median, predict};
use super::vectors::Vectoriser;
use crate::classify::{classify, label};
use anyhow::{Context, Result};
use frontdesk_cascade::task::Prediction;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_tasks::text_features::words;
use frontdesk_tasks::{Classifier, ClassifyRequest};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;

/// Rows that a share is chosen on, and rows that it is tried on: the language model takes its time.
const CHOOSING: usize = 150;
const TRIED: usize = 300;
const DRAWS: u64 = 10;
const SHOTS: [usize; 4] = [1, 2, 5, 10];
/// What the language model's logarithms may count.
const SHARES: [f64; 6] = [0.0, 0.1, 0.2, 0.3, 0.5, 1.0];

/// Accuracy of tasks of few examples on a data set, alone and blended with label scores.
pub(crate) fn compare(
    options: &Options,
    vectoriser: &mut Vectoriser,
    (train, test): (&Path, &Path),
) -> Result<Value> {
    let pick = |path: &Path, count: usize, seed: u64| -> Result<Vec<Row>> {
        let rows = read_rows(path)?;
        let (picked, _) = split(rows.len(), count as f64 / rows.len() as f64, seed);
        Ok(picked.into_iter().map(|row| rows[row].clone()).collect())
    };
    let train_rows = read_rows(train)?;
    let names = label_names(&train_rows);
    let parts = [pick(train, CHOOSING, 1)?, pick(test, TRIED, 2)?];
    let path = &options.language_model;
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut model = LanguageModel::load(file, Cpu::default(), 2048, &mut |_, _| {})?;
    let mut scored = Vec::new();
    for rows in &parts {
        scored.push((
            label_scores(&mut model, rows, &names)?,
            vectoriser.of_rows(rows)?,
            label_indices(rows, &names)?,
        ));
    }
    let setting =
        Setting { names: vectoriser.of_names(&names)?, importance: vectoriser.importance() };
    let train = Labelled {
        labels: label_indices(&train_rows, &names)?,
        vectors: vectoriser.of_rows(&train_rows)?,
    };
    let mut table = Vec::new();
    for shots in SHOTS {
        let draws = each_seed(DRAWS, |seed| {
            let rows = train.select(&few(&train.labels, shots, seed));
            let (task, _) = setting.learn(&rows, seed)?;
            let [choosing, tried] = [&scored[0], &scored[1]];
            let right = |part: &(Vec<Vec<f64>>, _, Vec<u32>), share: f64| -> Result<f64> {
                let predictions = predict(&task, &part.1)?;
                let rows = predictions.iter().zip(&part.0).zip(&part.2);
                let right = rows.filter(|((prediction, scores), label)| {
                    best(prediction, scores, share) == **label as usize
                });
                Ok(right.count() as f64 / part.2.len() as f64)
            };
            let mut chosen = (0.0, SHARES[0]);
            for share in SHARES {
                let accuracy = right(choosing, share)?;
                if accuracy > chosen.0 {
                    chosen = (accuracy, share);
                }
            }
            Ok([right(tried, 0.0)?, right(tried, chosen.1)?, right(tried, 1.0)?, chosen.1])
        })?;
        let middle = |index: usize| median(draws.iter().map(|draw| draw[index]).collect());
        table.push(json!({
            "shots": shots,
            "task": round(middle(0)),
            "blend": round(middle(1)),
            "language_model": round(middle(2)),
            "share": middle(3),
        }));
    }
    Ok(json!({ "labels": names.len(), "rows": TRIED, "draws": DRAWS, "table": table }))
}

/// Logarithms of the labels' probabilities after each text.
fn label_scores(
    model: &mut LanguageModel<Cpu>,
    rows: &[Row],
    names: &[String],
) -> Result<Vec<Vec<f64>>> {
    let labels: Vec<_> = names.iter().map(|name| label(&words(name))).collect();
    let mut classifier = Classifier::default();
    rows.iter()
        .map(|row| {
            let (text, labels) = (row.text.clone(), labels.clone());
            let request = ClassifyRequest { text, labels, ..ClassifyRequest::default() };
            let outcome = classify(model, &mut classifier, request)?;
            Ok(outcome.probabilities.iter().map(|p| p.max(f64::MIN_POSITIVE).ln()).collect())
        })
        .collect()
}

/// The most likely class by the weighted mean of both logarithms.
fn best(prediction: &Prediction, scores: &[f64], share: f64) -> usize {
    let mixed: Vec<f64> = prediction
        .probabilities
        .iter()
        .zip(scores)
        .map(|(p, score)| (1.0 - share) * p.max(f64::MIN_POSITIVE).ln() + share * score)
        .collect();
    (0..mixed.len()).max_by(|a, b| mixed[*a].total_cmp(&mixed[*b])).unwrap_or(0)
}
