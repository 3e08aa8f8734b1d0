//! The ladder of features: accuracy on rows held out of the training rows, and cost, rung by rung.

use super::baseline;
use super::curves::round;
use super::decisions::Options;
use super::rows::{Row, split};
use super::trial::{Labelled, Setting, answers, predict};
use super::vectors::Vectors;
use anyhow::{Context, Result};
use frontdesk_cascade::metrics::evaluate;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::EmbeddingModel;
use frontdesk_engine::encoder::Tap;
use frontdesk_engine::features::{FeatureOptions, Pooling};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_tasks::text_features::{importance, taps, words};
use serde_json::{Value, json};
use std::fs::File;
use std::time::Instant;

/// Rows to learn from and rows that are held out; as many as can be computed in a minute or two.
const LEARNT: usize = 3000;
const HELD_OUT: usize = 1500;
/// Layers of the language model whose mean is tried.
const LAYERS: usize = 10;

/// Vectors of texts, and milliseconds for one.
struct Rung {
    name: &'static str,
    vectors: Vectors,
    importance: Vec<f32>,
    ms: f64,
}

/// Tries each kind of features on rows of the training set.
pub(crate) fn climb(
    options: &Options,
    names: &[String],
    rows: &[Row],
    labels: &[u32],
) -> Result<Value> {
    let (held_out, learnt) = split(rows.len(), 0.5, 0);
    let (held_out, learnt) = (&held_out[..HELD_OUT], &learnt[..LEARNT]);
    let label_texts = names.iter().map(|name| words(name));
    let texts: Vec<String> = learnt
        .iter()
        .chain(held_out)
        .map(|row| rows[*row].text.clone())
        .chain(label_texts)
        .collect();
    let truth: Vec<u32> = learnt.iter().chain(held_out).map(|row| labels[*row]).collect();
    let encoder = encoder_rungs(options, &texts)?;
    let language = language_rung(options, &texts)?;
    let both = joined(&encoder[2], &language);
    let mut table = vec![baseline_row(&texts, &truth, names.len())?];
    for rung in encoder.iter().chain([&language, &both]) {
        let part = |range: std::ops::Range<usize>| Vectors {
            width: rung.vectors.width,
            values: rung.vectors.select(&range.collect::<Vec<_>>()),
        };
        let total = LEARNT + HELD_OUT;
        let setting =
            Setting { names: part(total..texts.len()), importance: rung.importance.clone() };
        let learnt = Labelled { vectors: part(0..LEARNT), labels: truth[..LEARNT].to_vec() };
        let (task, _) = setting.learn(&learnt, 0)?;
        let predictions = predict(&task, &part(LEARNT..total))?;
        let figures = evaluate(&answers(&predictions, &truth[LEARNT..]), names.len());
        eprintln!("   {}: {:.4}", rung.name, figures.accuracy);
        table.push(json!({
            "features": rung.name,
            "width": rung.vectors.width,
            "accuracy": round(figures.accuracy),
            "aurc": round(figures.aurc),
            "ms_per_text": round(rung.ms),
        }));
    }
    Ok(json!({ "learnt": LEARNT, "held_out": HELD_OUT, "rungs": table }))
}

fn baseline_row(texts: &[String], labels: &[u32], classes: usize) -> Result<Value> {
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let learnt = (&borrowed[..LEARNT], &labels[..LEARNT]);
    let answers = baseline::predict(learnt, classes, &borrowed[LEARNT..LEARNT + HELD_OUT])?;
    let accuracy = round(baseline::accuracy(&answers, &labels[LEARNT..LEARNT + HELD_OUT]));
    Ok(json!({ "features": "tf-idf of words and pairs of words", "accuracy": accuracy }))
}

/// The encoder's own vector; that and the mean after half the layers; what is shipped.
fn encoder_rungs(options: &Options, texts: &[String]) -> Result<[Rung; 3]> {
    let path = &options.model;
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut model = EmbeddingModel::load(file, Cpu::default(), &mut |_, _| {})?;
    let hidden = model.encoder().config().hidden;
    let (shipped, shipped_importance) = (taps(&model), importance(&model));
    let mut rung = |name, taps: &[Tap], importance: Vec<f32>| -> Result<Rung> {
        let started = Instant::now();
        let mut running = model.features(texts, taps.to_vec())?;
        while pollster::block_on(running.step(&mut model))? {}
        let ms = started.elapsed().as_secs_f64() * 1e3 / texts.len() as f64;
        let values = running.into_embeddings().into_iter().flat_map(|text| text.vector).collect();
        let vectors = Vectors { width: taps.len() * hidden, values };
        Ok(Rung { name, vectors, importance, ms })
    };
    let own = rung("encoder: its own vector", &shipped[..1], vec![1.0; hidden])?;
    let means =
        rung("encoder: and the mean after half its layers", &shipped[..2], vec![1.0; 2 * hidden])?;
    let all = rung("encoder: and the maxima (shipped)", &shipped, shipped_importance)?;
    Ok([own, means, all])
}

fn language_rung(options: &Options, texts: &[String]) -> Result<Rung> {
    let path = &options.language_model;
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut model = LanguageModel::load(file, Cpu::default(), 2048, &mut |_, _| {})?;
    let width = model.decoder().config().hidden;
    let started = Instant::now();
    let ids = texts.iter().map(|text| model.tokenizer().encode(text));
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    let mut running =
        model.features(ids, FeatureOptions { layers: LAYERS, pooling: Pooling::Mean })?;
    while pollster::block_on(running.step(&mut model))? {}
    let ms = started.elapsed().as_secs_f64() * 1e3 / texts.len() as f64;
    let vectors = Vectors { width, values: running.into_vectors() };
    let importance = vec![1.0; width];
    Ok(Rung { name: "language model: mean after 10 of 30 layers", vectors, importance, ms })
}

fn joined(a: &Rung, b: &Rung) -> Rung {
    let width = a.vectors.width + b.vectors.width;
    let rows = a.vectors.values.len() / a.vectors.width;
    let row = |index| [a.vectors.row(index), b.vectors.row(index)].concat();
    let values = (0..rows).flat_map(row).collect();
    Rung {
        name: "both",
        vectors: Vectors { width, values },
        importance: [&a.importance[..], &b.importance].concat(),
        ms: a.ms + b.ms,
    }
}
