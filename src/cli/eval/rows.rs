//! Labelled texts of JSONL files.

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A text and its label.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) label: String,
    /// How far outside the labels a row is, where the file says so.
    #[serde(default)]
    pub(crate) oos_type: Option<String>,
}

/// Reads a file of `text` and `label`.
pub(crate) fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut rows = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let row = serde_json::from_str(&line)
            .with_context(|| format!("{}, line {}", path.display(), index + 1))?;
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "{} has no rows", path.display());
    Ok(rows)
}

/// The labels of rows, sorted.
pub(crate) fn label_names<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<String> {
    let names: BTreeSet<&str> = rows.into_iter().map(|row| row.label.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The index of each row's label among `names`.
pub(crate) fn label_indices(rows: &[Row], names: &[String]) -> Result<Vec<u32>> {
    let places: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let place = |row: &Row| {
        let place = places.get(row.label.as_str()).copied();
        place.with_context(|| format!("the label '{}' has no example", row.label))
    };
    rows.iter().map(place).collect()
}

/// Indices of `shots` random rows of each label; all of them where it has fewer.
pub(crate) fn few(labels: &[u32], shots: usize, seed: u64) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    let mut picked: Vec<usize> = shuffled(labels.len(), seed)
        .into_iter()
        .filter(|row| {
            let count = counts.entry(labels[*row]).or_insert(0);
            *count += 1;
            *count <= shots
        })
        .collect();
    picked.sort_unstable();
    picked
}

/// Random rows, a share of all, and the others.
pub(crate) fn split(rows: usize, share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut all = shuffled(rows, seed);
    let rest = all.split_off((rows as f64 * share).round() as usize);
    (all, rest)
}

fn shuffled(rows: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..rows).collect();
    all.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    all
}
