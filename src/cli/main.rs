//! The native command line: run, classify, embed, evaluate, time, convert and synthesise model files.
#![forbid(unsafe_code)]

mod bench;
mod classify;
mod convert;
mod embed;
mod eval;
mod run;
mod synthesise;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use frontdesk_engine::backend::Backend;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::language_model::LanguageModel;
use std::fs::File;
use std::path::PathBuf;

/// Runs Frontdesk's engine natively.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer one message.
    Run(run::Options),
    /// Choose one of some labels for a text.
    Classify(classify::Options),
    /// How good answers are on labelled rows.
    #[command(subcommand)]
    Eval(eval::Command),
    /// Time prefill and decode, or vectors of texts.
    Bench(bench::Options),
    /// Unit vectors of texts, from an encoder, as lines of JSON.
    Embed(embed::Options),
    /// Make a GGUF file of an encoder's published files.
    Convert(convert::Options),
    /// Make a GGUF file of random weights, of any size, to time it.
    Synthesise(synthesise::Options),
}

/// Which model, and how much it remembers.
#[derive(Args)]
struct ModelOptions {
    /// The GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// Tokens of context.
    #[arg(long, default_value_t = 2048)]
    context_tokens: usize,
}

impl ModelOptions {
    fn load(&self) -> Result<LanguageModel<Cpu>> {
        self.load_to(Cpu::default())
    }

    fn load_to<B: Backend>(&self, backend: B) -> Result<LanguageModel<B>> {
        let path = self.model.display();
        let file = File::open(&self.model).with_context(|| format!("cannot open {path}"))?;
        LanguageModel::load(file, backend, self.context_tokens, &mut |_, _| {})
            .with_context(|| format!("cannot load {path}"))
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Classify(options) => classify::run(&options),
        Command::Eval(command) => eval::run(&command),
        Command::Bench(options) => bench::run(&options),
        Command::Embed(options) => embed::run(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Synthesise(options) => synthesise::run(&options),
    }
}
