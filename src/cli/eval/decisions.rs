//! `frontdesk eval decisions`: every figure of docs/decisions.md, as JSON.

use super::baseline;
use super::blend;
use super::curves::{reliability, risk_coverage, round};
use super::ladder;
use super::mahalanobis::Mahalanobis;
use super::rows::{Row, few, label_indices, label_names, read_rows, split};
use super::simulation::{Request, cascade, violations};
use super::trial::{
    Applied, Labelled, Setting, answers, budget, certified, each_seed, judged, median, predict,
};
use super::vectors::{Vectoriser, Vectors};
use anyhow::{Context, Result};
use clap::Args;
use frontdesk_cascade::guarantee::{Budget, Judged};
use frontdesk_cascade::metrics::{auroc, evaluate};
use frontdesk_cascade::task::{Prediction, Task};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Random splits, or draws of a few rows, whose median is taken.
const DRAWS: u64 = 20;
const MAX_ERROR: f64 = 0.02;
/// The validation rows of CLINC150 are known to be easier than its test rows.
const CLINC_SHIFT: f64 = 1.5;
/// Vectors of a text that its features are made of.
const TAPS: usize = 4;
/// Of the simulated stream, grade-school maths.
const MATHS_SHARE: f64 = 0.05;
/// Tokens of a written solution.
const MATHS_OUTPUT_TOKENS: f64 = 150.0;
/// Characters of a token, about.
const TOKEN_CHARACTERS: f64 = 4.0;

#[derive(Args)]
pub(crate) struct Options {
    /// The GGUF file of the encoder.
    #[arg(long)]
    pub(super) model: PathBuf,
    /// The GGUF file of the language model, for the ladder of features.
    #[arg(long)]
    pub(super) language_model: PathBuf,
    /// The folder of the data sets.
    #[arg(long)]
    data: PathBuf,
    /// Where the figures go.
    #[arg(long)]
    json: PathBuf,
    /// Keep vectors there, for the next time.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A data set: rows to learn from and rows to be tried on.
struct Set {
    names: Vec<String>,
    setting: Setting,
    train_rows: Vec<Row>,
    train: Labelled,
    test_rows: Vec<Row>,
    test: Labelled,
}

/// What a task that was learnt from all training rows says of the test rows.
struct Full {
    figures: Value,
    task: Task,
    test: Vec<Prediction>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut vectoriser = Vectoriser::load(&options.model, options.keep.clone())?;
    let data = |name: &str| options.data.join(name);
    let banking =
        Set::read(&mut vectoriser, &data("banking77/train.jsonl"), &data("banking77/test.jsonl"))?;
    let clinc = Set::read(
        &mut vectoriser,
        &data("clinc150_oos/train.jsonl"),
        &data("clinc150_oos/test.jsonl"),
    )?;
    let mut result = json!({
        "ladder": ladder::climb(options, &banking.names, &banking.train_rows, &banking.train.labels)?,
    });
    note("Banking77, all rows");
    let (mut banking_full, kept) = banking_full(&banking)?;
    let shots = |set: &Set, folder: &str, vectoriser: &mut Vectoriser| -> Result<Value> {
        note(&format!("{folder}, few rows"));
        let official = read_rows(&data(folder).join("train_10shot.jsonl"))?;
        Ok(json!({ "ten_shot": few_shot(set, &official, 10, vectoriser)? }))
    };
    merge(&mut banking_full.figures, shots(&banking, "banking77", &mut vectoriser)?);
    note("CLINC150, all rows");
    let valid = read_rows(&data("clinc150_oos/val.jsonl"))?;
    let strange = Strange {
        valid: vectoriser.of_rows(&strangers(&valid))?,
        test: vectoriser.of_rows(&strangers(&read_rows(&data("clinc150_oos/test.jsonl"))?))?,
    };
    let valid: Vec<Row> = valid.into_iter().filter(|row| row.label != OUT_OF_SCOPE).collect();
    let valid = Labelled {
        vectors: vectoriser.of_rows(&valid)?,
        labels: label_indices(&valid, &clinc.names)?,
    };
    let signs = strange_signs(&clinc, &valid, &strange)?;
    let mut clinc_full = clinc_full(&clinc, &valid, &strange)?;
    clinc_full.figures["signs"] = signs;
    merge(&mut clinc_full.figures, shots(&clinc, "clinc150_oos", &mut vectoriser)?);
    note("out of scope");
    result["banking77_oos"] = banking_oos(&mut vectoriser, &data("banking77_oos"))?;
    note("label scores beside few examples");
    let mut blends = serde_json::Map::new();
    for name in ["snips", "bitext_support"] {
        let paths = (&*data(name).join("train.jsonl"), &*data(name).join("test.jsonl"));
        blends.insert(name.to_owned(), blend::compare(options, &mut vectoriser, paths)?);
    }
    result["label_scores"] = Value::Object(blends);
    note("cascade");
    let maths = |name: &str| read_rows(&data("escalate_gsm8k").join(name));
    let maths = [maths("train_500.jsonl")?, maths("test.jsonl")?];
    let calibration = stream(
        &mut vectoriser,
        &[(&banking, &kept.task, &kept.rows, &kept.texts), (&clinc, &clinc_full.task, &valid, &[])],
        &maths[0],
    )?;
    let test = stream(
        &mut vectoriser,
        &[
            (&banking, &kept.task, &banking.test, &banking.test_rows),
            (&clinc, &clinc_full.task, &clinc.test, &clinc.test_rows),
        ],
        &maths[1],
    )?;
    let [sure, unsure] = [0.95, 0.8].map(|accuracy| cascade(&calibration, &test, accuracy));
    result["cascade"] = json!({
        "cost_ratio": sure["cost_ratio"],
        "cloud_right_95": sure,
        "cloud_right_80": unsure,
    });
    result["banking77"] = banking_full.figures;
    result["clinc150"] = clinc_full.figures;
    let text = serde_json::to_string_pretty(&result)? + "\n";
    std::fs::write(&options.json, text)
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    Ok(())
}

const OUT_OF_SCOPE: &str = "oos";

fn strangers(rows: &[Row]) -> Vec<Row> {
    rows.iter().filter(|row| row.label == OUT_OF_SCOPE).cloned().collect()
}

fn texts_of(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.text.as_str()).collect()
}

fn note(text: &str) {
    eprintln!("   {text}");
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

impl Set {
    /// Reads the rows that have a label.
    fn read(vectoriser: &mut Vectoriser, train: &Path, test: &Path) -> Result<Self> {
        let in_scope = |path: &Path| -> Result<Vec<Row>> {
            let rows = read_rows(path)?.into_iter();
            Ok(rows.filter(|row| row.label != OUT_OF_SCOPE).collect())
        };
        let (train_rows, test_rows) = (in_scope(train)?, in_scope(test)?);
        let names = label_names(&train_rows);
        let mut labelled = |rows: &[Row]| -> Result<Labelled> {
            let labels = label_indices(rows, &names)?;
            Ok(Labelled { vectors: vectoriser.of_rows(rows)?, labels })
        };
        let (train, test) = (labelled(&train_rows)?, labelled(&test_rows)?);
        let setting =
            Setting { names: vectoriser.of_names(&names)?, importance: vectoriser.importance() };
        Ok(Self { names, setting, train_rows, train, test_rows, test })
    }

    fn full(&self) -> Result<Full> {
        let (task, report) = self.setting.learn(&self.train, 0)?;
        let test = predict(&task, &self.test.vectors)?;
        let figures = evaluate(&answers(&test, &self.test.labels), self.names.len());
        let train = (&texts_of(&self.train_rows)[..], &self.train.labels[..]);
        let baseline = baseline::predict(train, self.names.len(), &texts_of(&self.test_rows))?;
        let baseline: Vec<Judged> = baseline
            .iter()
            .zip(&self.test.labels)
            .map(|((best, confidence), label)| Judged {
                confidence: *confidence,
                is_right: *best == *label as usize,
            })
            .collect();
        let rows = judged(&test, &self.test.labels);
        let right = baseline.iter().filter(|row| row.is_right).count();
        let figures = json!({
            "rows": figures.rows,
            "accuracy": round(figures.accuracy),
            "macro_f1": round(figures.macro_f1),
            "ece": round(figures.ece),
            "ece_equal_mass": round(figures.ece_equal_mass),
            "brier": round(figures.brier),
            "aurc": round(figures.aurc),
            "learning": report,
            "tf_idf_accuracy": round(right as f64 / baseline.len() as f64),
            "violations": violations(&rows, MAX_ERROR)?,
            "curves": {
                "risk_coverage": risk_coverage(&rows),
                "tf_idf_risk_coverage": risk_coverage(&baseline),
                "reliability": reliability(&rows),
            },
        });
        Ok(Full { figures, task, test })
    }
}

/// Rows that a task was not learnt from, for the cascade to find its threshold on.
struct Kept {
    task: Task,
    rows: Labelled,
    texts: Vec<Row>,
}

fn banking_full(set: &Set) -> Result<(Full, Kept)> {
    let mut full = set.full()?;
    let try_split = |seed| -> Result<_> {
        let (held_out, learnt) = split(set.train.labels.len(), 0.2, seed);
        let (task, _) = set.setting.learn(&set.train.select(&learnt), seed)?;
        note(&format!("split {seed} of {DRAWS}"));
        let rows = set.train.select(&held_out);
        let calibration = judged(&predict(&task, &rows.vectors)?, &rows.labels);
        let test = predict(&task, &set.test.vectors)?;
        let figures = evaluate(&answers(&test, &set.test.labels), set.names.len());
        let test = judged(&test, &set.test.labels);
        let applied = certified(&calibration, &test, budget(MAX_ERROR))?;
        let split = applied.map(|(_, Applied { local_share, added_error })| {
            (local_share, added_error, figures.accuracy)
        });
        let kept = (seed == 0).then(|| {
            let texts = held_out.iter().map(|row| set.train_rows[*row].clone()).collect();
            Kept { task, rows, texts }
        });
        Ok((split, kept))
    };
    let (splits, kept): (Vec<_>, Vec<_>) = each_seed(DRAWS, try_split)?.into_iter().unzip();
    let splits: Vec<_> = splits.into_iter().flatten().collect();
    let middle = |of: fn(&(f64, f64, f64)) -> f64| round(median(splits.iter().map(of).collect()));
    let certified = json!({
        "calibration": "a fifth of the training rows, at random",
        "splits": DRAWS,
        "certified": splits.len(),
        "local_share": middle(|split| split.0),
        "error_on_test": middle(|split| split.1),
        "accuracy": middle(|split| split.2),
        "splits_above_budget": splits.iter().filter(|split| split.1 > MAX_ERROR).count(),
    });
    full.figures["certified_local_share"] = certified["local_share"].clone();
    full.figures["certified"] = certified;
    full.figures = json!({ "full": full.figures });
    Ok((full, kept.into_iter().flatten().next().context("there is no split")?))
}

/// Vectors of rows that have no label.
struct Strange {
    valid: Vectors,
    test: Vectors,
}

fn clinc_full(set: &Set, valid: &Labelled, strange: &Strange) -> Result<Full> {
    let mut full = set.full()?;
    let test = judged(&full.test, &set.test.labels);
    let valid_rows = judged(&predict(&full.task, &valid.vectors)?, &valid.labels);
    let mut results = Vec::new();
    for shift in [1.0, CLINC_SHIFT] {
        let budget = Budget { shift, ..budget(MAX_ERROR) };
        let applied = certified(&valid_rows, &test, budget)?;
        results.push(applied.map(|(threshold, applied)| {
            json!({
                "calibration": "the validation rows",
                "shift": shift,
                "threshold": round(threshold),
                "local_share": round(applied.local_share),
                "error_on_test": round(applied.added_error),
            })
        }));
    }
    let [plain, shifted] = [results.remove(0), results.remove(0)];
    full.figures["certified_local_share"] =
        shifted.as_ref().map_or(Value::Null, |shifted| shifted["local_share"].clone());
    full.figures["certified"] = json!({ "no_shift": plain, "shifted": shifted });
    let oos = predict(&full.task, &strange.test)?;
    let valid_oos = predict(&full.task, &strange.valid)?;
    let valid = predict(&full.task, &valid.vectors)?;
    let mut figures = json!({ "full": full.figures });
    merge(&mut figures, strangeness("oos", &full.test, &oos));
    merge(&mut figures, strangeness("validation_oos", &valid, &valid_oos));
    full.figures = figures;
    Ok(full)
}

/// How well strangeness, and low confidence, tell rows without a label from the others.
fn strangeness(name: &str, inside: &[Prediction], outside: &[Prediction]) -> Value {
    let area = |of: fn(&Prediction) -> f64| {
        let scores = |rows: &[Prediction]| rows.iter().map(of).collect::<Vec<_>>();
        round(auroc(&scores(outside), &scores(inside)))
    };
    let kept_out = |rows: &[Prediction]| {
        let out = rows.iter().filter(|row| row.is_out_of_scope).count();
        round(out as f64 / rows.len() as f64)
    };
    let largest = |row: &Prediction| -row.probabilities.iter().copied().fold(0.0, f64::max);
    json!({
        format!("{name}_auroc"): area(|row| row.strangeness),
        format!("{name}_auroc_max_prob"): area(largest),
        format!("{name}_kept_out"): kept_out(outside),
        format!("{name}_in_scope_kept_out"): kept_out(inside),
    })
}

/// How well each sign, and each distance that a gate could look at, tells rows without a label from the
/// others.
fn strange_signs(set: &Set, valid: &Labelled, strange: &Strange) -> Result<Value> {
    let (task, _) = set.setting.learn(&set.train, 0)?;
    // The encoder's own vector comes first.
    let own = set.train.vectors.width / TAPS;
    let distances = Mahalanobis::fit(&set.train, set.names.len(), own)?;
    let mut table = Vec::new();
    for (rows, inside, outside) in
        [("validation", &valid.vectors, &strange.valid), ("test", &set.test.vectors, &strange.test)]
    {
        let signs = |vectors: &Vectors| -> Result<Vec<[f64; 5]>> {
            let predictions = predict(&task, vectors)?.into_iter();
            let rows = predictions.zip(distances.distances(vectors));
            Ok(rows
                .map(|(row, [plain, relative])| {
                    [row.signs.energy, row.signs.distance, plain, relative, row.strangeness]
                })
                .collect())
        };
        let (inside, outside) = (signs(inside)?, signs(outside)?);
        let area = |index: usize| {
            let of = |rows: &[[f64; 5]]| rows.iter().map(|row| row[index]).collect::<Vec<_>>();
            round(auroc(&of(&outside), &of(&inside)))
        };
        table.push(json!({
            "rows": rows,
            "energy": area(0),
            "nearest_examples": area(1),
            "mahalanobis": area(2),
            "relative_mahalanobis": area(3),
            "shipped": area(4),
        }));
    }
    Ok(Value::Array(table))
}

/// Accuracy after learning from a few rows of each label: the published draw, and random ones.
fn few_shot(
    set: &Set,
    official: &[Row],
    shots: usize,
    vectoriser: &mut Vectoriser,
) -> Result<Value> {
    let accuracy = |rows: &Labelled, seed: u64| -> Result<(f64, f64)> {
        let (task, _) = set.setting.learn(rows, seed)?;
        let predictions = predict(&task, &set.test.vectors)?;
        let figures = evaluate(&answers(&predictions, &set.test.labels), set.names.len());
        Ok((figures.accuracy, figures.ece))
    };
    let labels = label_indices(official, &set.names)?;
    let published = Labelled { vectors: vectoriser.of_rows(official)?, labels };
    let published_accuracy = accuracy(&published, 0)?;
    let drawn = each_seed(DRAWS, |seed| {
        accuracy(&set.train.select(&few(&set.train.labels, shots, seed)), seed)
    })?;
    let learnt = (&texts_of(official)[..], &published.labels[..]);
    let baseline = baseline::predict(learnt, set.names.len(), &texts_of(&set.test_rows))?;
    Ok(json!({
        "accuracy": round(median(drawn.iter().map(|draw| draw.0).collect())),
        "ece": round(median(drawn.iter().map(|draw| draw.1).collect())),
        "least": round(drawn.iter().map(|draw| draw.0).fold(1.0, f64::min)),
        "most": round(drawn.iter().map(|draw| draw.0).fold(0.0, f64::max)),
        "draws": DRAWS,
        "published_draw": round(published_accuracy.0),
        "published_draw_tf_idf": round(baseline::accuracy(&baseline, &set.test.labels)),
    }))
}

/// Near and far rows without a label, on Banking77 with some labels left out.
fn banking_oos(vectoriser: &mut Vectoriser, folder: &Path) -> Result<Value> {
    let test_path = folder.join("test.jsonl");
    let set = Set::read(vectoriser, &folder.join("train.jsonl"), &test_path)?;
    let (task, _) = set.setting.learn(&set.train, 0)?;
    let inside = predict(&task, &set.test.vectors)?;
    let figures = evaluate(&answers(&inside, &set.test.labels), set.names.len());
    let all = strangers(&read_rows(&test_path)?);
    let mut result = json!({ "accuracy": round(figures.accuracy) });
    for (name, kind) in [("near", "in_domain"), ("far", "out_of_domain")] {
        let rows: Vec<Row> =
            all.iter().filter(|row| row.oos_type.as_deref() == Some(kind)).cloned().collect();
        let outside = predict(&task, &vectoriser.of_rows(&rows)?)?;
        merge(&mut result, strangeness(name, &inside, &outside));
    }
    Ok(result)
}

/// Requests of both data sets, each to its own task, and maths to both.
fn stream(
    vectoriser: &mut Vectoriser,
    parts: &[(&Set, &Task, &Labelled, &[Row])],
    maths: &[Row],
) -> Result<Vec<Request>> {
    let tokens = |text: &str| text.chars().count() as f64 / TOKEN_CHARACTERS;
    let mut requests = Vec::new();
    for (part, (set, task, rows, texts)) in parts.iter().enumerate() {
        // The prompt of a classification names all labels.
        let prompt: f64 = set.names.iter().map(|name| tokens(name) + 1.0).sum();
        let local = judged(&predict(task, &rows.vectors)?, &rows.labels);
        for (index, (local, label)) in local.iter().zip(&rows.labels).enumerate() {
            let text = texts.get(index).map_or(15.0, |row| tokens(&row.text));
            let output_tokens = tokens(&set.names[*label as usize]);
            requests.push(Request { local: *local, input_tokens: prompt + text, output_tokens });
        }
        let count = rows.labels.len() as f64 * MATHS_SHARE / (1.0 - MATHS_SHARE);
        let own: Vec<Row> =
            maths.iter().skip(part).step_by(parts.len()).take(count as usize).cloned().collect();
        let predictions = predict(task, &vectoriser.of_rows(&own)?)?;
        // No label is right for them.
        let local = judged(&predictions, &vec![u32::MAX; own.len()]);
        requests.extend(own.iter().zip(local).map(|(row, local)| Request {
            local,
            input_tokens: tokens(&row.text),
            output_tokens: MATHS_OUTPUT_TOKENS,
        }));
    }
    Ok(requests)
}
