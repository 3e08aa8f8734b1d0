//! `frontdesk bench`: tokens per second of prefill and decode, or texts per second of vectors.

use crate::ModelOptions;
use anyhow::Result;
use clap::Args;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::features::{FeatureOptions, Pooling};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::sampler::best_token;
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 256)]
    prompt: usize,
    /// Tokens to generate.
    #[arg(long, default_value_t = 64)]
    generate: usize,
    /// Repetitions; the median is reported.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Time vectors of the texts in this file instead: lines of JSON with `text`.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Rows of the file.
    #[arg(long, default_value_t = 1000)]
    rows: usize,
    /// Layers to run for a vector; several are timed one after the other.
    #[arg(long, value_delimiter = ',')]
    layers: Vec<usize>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let mut model = options.model.load()?;
    println!("load     {:>8.2} s", started.elapsed().as_secs_f64());
    if let Some(file) = &options.file {
        return time_features(&mut model, file, options);
    }
    let mut prefills = Vec::new();
    let mut decodes = Vec::new();
    for repetition in 0..options.repeat.max(1) {
        prefills.push(options.prompt as f64 / prefill(&mut model, options.prompt, repetition)?);
        decodes.push(options.generate as f64 / decode(&mut model, options)?);
    }
    println!("prefill  {:>8.1} tokens/s ({} tokens)", median(prefills), options.prompt);
    println!("decode   {:>8.1} tokens/s ({} tokens)", median(decodes), options.generate);
    Ok(())
}

/// Seconds for a prompt that shares nothing with the one before.
fn prefill(model: &mut LanguageModel<Cpu>, tokens: usize, repetition: usize) -> Result<f64> {
    let vocabulary = model.decoder().vocabulary();
    let ids = (0..tokens).map(|index| ((100 + repetition + index * 7919) % vocabulary) as u32);
    let mut prefill = model.begin(ids.collect(), 0)?;
    let started = Instant::now();
    while !model.prefill(&mut prefill)? {}
    pollster::block_on(model.logits(&[0], &mut Vec::new()))?;
    Ok(started.elapsed().as_secs_f64())
}

fn decode(model: &mut LanguageModel<Cpu>, options: &Options) -> Result<f64> {
    let prompt = model.tokenizer().encode("Once upon a time")?;
    let mut prefill = model.begin(prompt, options.generate)?;
    while !model.prefill(&mut prefill)? {}
    let mut logits = Vec::new();
    pollster::block_on(model.logits(&[0], &mut logits))?;
    let started = Instant::now();
    for _ in 0..options.generate {
        model.extend(&[best_token(&logits)?])?;
        pollster::block_on(model.logits(&[0], &mut logits))?;
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Texts per second by number of layers, all texts in one batch and each in a batch of its own.
fn time_features(model: &mut LanguageModel<Cpu>, file: &Path, options: &Options) -> Result<()> {
    let lines = BufReader::new(File::open(file)?).lines().take(options.rows);
    let texts = lines
        .map(|line| Ok(model.tokenizer().encode(&serde_json::from_str::<Row>(&line?)?.text)?))
        .collect::<Result<Vec<_>>>()?;
    let tokens: usize = texts.iter().map(Vec::len).sum();
    println!("{} texts, {tokens} tokens", texts.len());
    let all = model.decoder().config().layers;
    let layers = if options.layers.is_empty() { &[all][..] } else { &options.layers };
    for &layers in layers {
        let options = FeatureOptions { layers, pooling: Pooling::Mean };
        let together = features(model, texts.clone(), options)?;
        let mut alone = 0.0;
        for text in &texts {
            alone += features(model, vec![text.clone()], options)?;
        }
        let per_second = |seconds: f64| texts.len() as f64 / seconds;
        let (together, alone) = (per_second(together), per_second(alone));
        println!("{layers:>3} layers {together:>8.1} texts/s, one by one {alone:>8.1} texts/s");
    }
    Ok(())
}

/// Seconds for one batch.
fn features(
    model: &mut LanguageModel<Cpu>,
    texts: Vec<Vec<u32>>,
    options: FeatureOptions,
) -> Result<f64> {
    let started = Instant::now();
    let mut features = model.features(texts, options)?;
    while pollster::block_on(features.step(model))? {}
    Ok(started.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
