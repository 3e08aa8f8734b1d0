//! `frontdesk eval routing`: trains a task, certifies a threshold, and tries both on test rows.

use super::baseline;
use super::rows::{few, label_indices, label_names, read_rows, split};
use super::trial::{Labelled, Setting, answers, budget, certified, judged, predict};
use super::vectors::Vectoriser;
use anyhow::Result;
use clap::Args;
use frontdesk_cascade::guarantee::Budget;
use frontdesk_cascade::metrics::evaluate;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The GGUF file of an encoder.
    #[arg(long)]
    model: PathBuf,
    /// Lines of JSON with `text` and `label` to learn from.
    #[arg(long)]
    train: PathBuf,
    /// Rows that nothing is learnt from.
    #[arg(long)]
    test: PathBuf,
    /// Rows to certify the threshold on; by default, a fifth of the training rows.
    #[arg(long)]
    calibration: Option<PathBuf>,
    /// Learn from so many rows of each label.
    #[arg(long)]
    shots: Option<usize>,
    /// Largest share of wrong answers that answering here may add.
    #[arg(long, default_value_t = 0.02)]
    max_error: f64,
    /// How much more frequent any kind of row may be later than among the calibration rows.
    #[arg(long, default_value_t = 1.0)]
    shift: f64,
    /// Decides which rows are taken.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Keep vectors there, for the next time.
    #[arg(long)]
    keep: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let train = read_rows(&options.train)?;
    let test = read_rows(&options.test)?;
    let names = label_names(&train);
    let labels = label_indices(&train, &names)?;
    let test_labels = label_indices(&test, &names)?;
    let mut vectoriser = Vectoriser::load(&options.model, options.keep.clone())?;
    let setting =
        Setting { names: vectoriser.of_names(&names)?, importance: vectoriser.importance() };
    let all = Labelled { vectors: vectoriser.of_rows(&train)?, labels };
    let (held_out, learnt) = match &options.calibration {
        Some(_) => (Vec::new(), (0..train.len()).collect()),
        None => split(train.len(), 0.2, options.seed),
    };
    let calibration = match &options.calibration {
        Some(path) => {
            let rows = read_rows(path)?;
            let labels = label_indices(&rows, &names)?;
            Labelled { vectors: vectoriser.of_rows(&rows)?, labels }
        }
        None => all.select(&held_out),
    };
    let learnt: Vec<usize> = match options.shots {
        None => learnt,
        Some(shots) => {
            let labels: Vec<u32> = learnt.iter().map(|row| all.labels[*row]).collect();
            few(&labels, shots, options.seed).into_iter().map(|index| learnt[index]).collect()
        }
    };
    let rows = all.select(&learnt);
    let (task, report) = setting.learn(&rows, options.seed)?;
    let predictions = predict(&task, &vectoriser.of_rows(&test)?)?;
    let calibrated = predict(&task, &calibration.vectors)?;
    let applied = certified(
        &judged(&calibrated, &calibration.labels),
        &judged(&predictions, &test_labels),
        Budget { shift: options.shift, ..budget(options.max_error) },
    )?;
    let figures = evaluate(&answers(&predictions, &test_labels), names.len());
    let texts: Vec<&str> = learnt.iter().map(|row| train[*row].text.as_str()).collect();
    let test_texts: Vec<&str> = test.iter().map(|row| row.text.as_str()).collect();
    let baseline = baseline::predict((&texts, &rows.labels), names.len(), &test_texts)?;
    let result = json!({
        "learning": report,
        "accuracy": figures.accuracy,
        "macroF1": figures.macro_f1,
        "ece": figures.ece,
        "brier": figures.brier,
        "aurc": figures.aurc,
        "tfIdfAccuracy": baseline::accuracy(&baseline, &test_labels),
        "guarantee": applied.map(|(threshold, applied)| json!({
            "maxError": options.max_error,
            "confidence": 0.95,
            "shift": options.shift,
            "calibrationRows": calibration.labels.len(),
            "threshold": threshold,
            "localShare": applied.local_share,
            "errorOnTest": applied.added_error,
        })),
    });
    println!("{}", serde_json::to_string_pretty(&result)?);
    Ok(())
}
