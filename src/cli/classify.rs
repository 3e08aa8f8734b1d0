//! `frontdesk classify` and `frontdesk eval`: zero-shot classification of one text or of a file.

use crate::ModelOptions;
use anyhow::{Context, Result};
use clap::Args;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_tasks::text_features::words;
use frontdesk_tasks::{Classifier, ClassifyRequest, Label, Outcome, Progress};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// The text.
    text: String,
    /// The labels, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    labels: Vec<String>,
    /// What the text is.
    #[arg(long)]
    subject: Option<String>,
}

#[derive(Args)]
pub(crate) struct EvalOptions {
    #[command(flatten)]
    model: ModelOptions,
    /// Lines of JSON with `text` and `label`.
    #[arg(long)]
    file: PathBuf,
    /// What the texts are.
    #[arg(long)]
    subject: Option<String>,
    /// Score every so-many-th row only.
    #[arg(long, default_value_t = 1)]
    every: usize,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    label: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut model = options.model.load()?;
    let labels: Vec<Label> = options.labels.iter().map(|name| label(name)).collect();
    let request = ClassifyRequest {
        text: options.text.clone(),
        labels: labels.clone(),
        subject: options.subject.clone(),
        ..ClassifyRequest::default()
    };
    let outcome = classify(&mut model, &mut Classifier::default(), request)?;
    let mut pairs: Vec<_> = labels.iter().zip(outcome.probabilities).collect();
    pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (label, probability) in pairs {
        println!("{probability:.4}  {}", label.name);
    }
    Ok(())
}

pub(crate) fn evaluate(options: &EvalOptions) -> Result<()> {
    let mut model = options.model.load()?;
    let file = File::open(&options.file)
        .with_context(|| format!("cannot open {}", options.file.display()))?;
    let rows = BufReader::new(file)
        .lines()
        .map(|line| Ok(serde_json::from_str(&line?)?))
        .collect::<Result<Vec<Row>>>()?;
    anyhow::ensure!(!rows.is_empty(), "{} has no rows", options.file.display());
    let names: BTreeSet<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let labels: Vec<Label> = names.iter().map(|name| label(&words(name))).collect();
    let mut classifier = Classifier::default();
    let mut results = Vec::new();
    for row in rows.iter().step_by(options.every.max(1)) {
        let request = ClassifyRequest {
            text: row.text.clone(),
            labels: labels.clone(),
            subject: options.subject.clone(),
            ..ClassifyRequest::default()
        };
        let outcome = classify(&mut model, &mut classifier, request)?;
        let is_right = names.iter().nth(outcome.best) == Some(&row.label.as_str());
        results.push((outcome.probabilities[outcome.best], is_right));
    }
    report(results, labels.len());
    Ok(())
}

/// Accuracy over all rows, and over the most confident parts of them.
fn report(mut results: Vec<(f64, bool)>, labels: usize) {
    results.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{} rows, {labels} labels (chance {:.3})", results.len(), 1.0 / labels as f64);
    println!("share of rows  confidence from  accuracy");
    for percent in [100, 50, 25, 10] {
        let count = (results.len() * percent / 100).max(1).min(results.len());
        let right = results[..count].iter().filter(|(_, is_right)| *is_right).count();
        let floor = results.get(count - 1).map_or(0.0, |(confidence, _)| *confidence);
        println!("{percent:>12}%  {floor:>15.3}  {:>8.3}", right as f64 / count as f64);
    }
}

pub(crate) fn classify(
    model: &mut LanguageModel<Cpu>,
    classifier: &mut Classifier,
    request: ClassifyRequest,
) -> Result<Outcome> {
    let mut task = classifier.start(model, request)?;
    loop {
        if let Progress::Done(outcome) = pollster::block_on(classifier.step(model, &mut task))? {
            return Ok(outcome);
        }
    }
}

pub(crate) fn label(name: &str) -> Label {
    Label { name: name.to_owned(), description: None }
}
