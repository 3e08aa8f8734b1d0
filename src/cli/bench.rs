//! `frontdesk bench`: tokens per second of prefill and decode, or texts per second of vectors.

use crate::ModelOptions;
use anyhow::Result;
use clap::Args;
use frontdesk_engine::backend::Backend;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::features::{FeatureOptions, Pooling};
use frontdesk_engine::generate::{GenerateOptions, Generation, Step};
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_gpu::Gpu;
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
    /// Compute on the GPU.
    #[arg(long)]
    gpu: bool,
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
    if !options.gpu {
        return time(Cpu::default(), options);
    }
    let options_of_gpu = frontdesk_gpu::Options { allow_software: true, ..Default::default() };
    let gpu = pollster::block_on(Gpu::open(options_of_gpu))?;
    let adapter = gpu.adapter();
    println!("adapter  {} {}", adapter.name, adapter.driver);
    time(gpu, options)
}

fn time<B: Backend>(backend: B, options: &Options) -> Result<()> {
    let started = Instant::now();
    let mut model = options.model.load_to(backend)?;
    println!("load     {:>8.2} s", started.elapsed().as_secs_f64());
    if let Some(file) = &options.file {
        return time_features(&mut model, file, options);
    }
    let mut prefills = Vec::new();
    let mut decodes = Vec::new();
    for repetition in 0..options.repeat.max(1) {
        prefills.push(options.prompt as f64 / prefill(&mut model, options.prompt, repetition)?);
        decodes.push(decode(&mut model, options)?);
    }
    println!("prefill  {:>8.1} tokens/s ({} tokens)", median(prefills), options.prompt);
    let decode = median(decodes);
    // A token reads the file's weights once, but for an embedding that is not the output layer too.
    let gigabytes = std::fs::metadata(&options.model.model)?.len() as f64 / 1e9;
    let (generated, speed) = (options.generate, decode * gigabytes);
    println!("decode   {decode:>8.1} tokens/s ({generated} tokens), {speed:.1} GB/s of the file");
    Ok(())
}

/// Seconds for a prompt that shares nothing with the one before.
fn prefill<B: Backend>(
    model: &mut LanguageModel<B>,
    tokens: usize,
    repetition: usize,
) -> Result<f64> {
    let vocabulary = model.decoder().vocabulary();
    let ids = (0..tokens).map(|index| ((100 + repetition + index * 7919) % vocabulary) as u32);
    let mut prefill = model.begin(ids.collect(), 0)?;
    let started = Instant::now();
    while !model.prefill(&mut prefill)? {}
    pollster::block_on(model.logits(&[0], &mut Vec::new()))?;
    Ok(started.elapsed().as_secs_f64())
}

/// Tokens per second after the first one, greedily, whatever ends the text before.
fn decode<B: Backend>(model: &mut LanguageModel<B>, options: &Options) -> Result<f64> {
    let prompt = model.tokenizer().encode("Once upon a time")?;
    let generate = GenerateOptions { max_tokens: options.generate + 1, ..Default::default() };
    let mut generation = Generation::new(model, prompt, generate)?;
    while generation.tokens() == 0 {
        pollster::block_on(generation.step(model))?;
    }
    let started = Instant::now();
    while let Step::Token { .. } = pollster::block_on(generation.step(model))? {}
    Ok((generation.tokens() - 1) as f64 / started.elapsed().as_secs_f64())
}

/// Texts per second by number of layers, all texts in one batch and each in a batch of its own.
fn time_features<B: Backend>(
    model: &mut LanguageModel<B>,
    file: &Path,
    options: &Options,
) -> Result<()> {
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
fn features<B: Backend>(
    model: &mut LanguageModel<B>,
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
