//! `frontdesk bench`: tokens per second of prefill and decode.

use crate::ModelOptions;
use anyhow::Result;
use clap::Args;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use frontdesk_engine::sampler::best_token;
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
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let mut model = options.model.load()?;
    println!("load     {:>8.2} s", started.elapsed().as_secs_f64());
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
    pollster::block_on(model.logits(&[prefill.last()], &mut Vec::new()))?;
    Ok(started.elapsed().as_secs_f64())
}

fn decode(model: &mut LanguageModel<Cpu>, options: &Options) -> Result<f64> {
    let prompt = model.tokenizer().encode("Once upon a time")?;
    let mut prefill = model.begin(prompt, options.generate)?;
    while !model.prefill(&mut prefill)? {}
    let mut logits = Vec::new();
    pollster::block_on(model.logits(&[prefill.last()], &mut logits))?;
    let started = Instant::now();
    for _ in 0..options.generate {
        model.extend(&[best_token(&logits)?])?;
        pollster::block_on(model.logits(&[0], &mut logits))?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
