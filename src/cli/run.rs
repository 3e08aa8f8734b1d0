//! `frontdesk run`: answers one message, streaming.

use crate::ModelOptions;
use anyhow::Result;
use clap::Args;
use frontdesk_engine::chat_template::{Message, Role};
use frontdesk_engine::generate::{GenerateOptions, Generation, Step};
use frontdesk_engine::sampler::SamplerOptions;
use std::io::Write;

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// The message.
    message: String,
    /// Instructions before it.
    #[arg(long)]
    system: Option<String>,
    /// Tokens at the most.
    #[arg(long, default_value_t = 256)]
    max_tokens: usize,
    /// 0 takes the most likely token each time.
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// The same seed draws the same text.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut model = options.model.load()?;
    let message = |role, content: &str| Message { role, content: content.to_owned() };
    let mut messages: Vec<_> =
        options.system.iter().map(|content| message(Role::System, content)).collect();
    messages.push(message(Role::User, &options.message));
    let prompt = model.encode_chat(&messages)?;
    let sampler = SamplerOptions {
        temperature: options.temperature,
        seed: options.seed,
        ..Default::default()
    };
    let generate =
        GenerateOptions { max_tokens: options.max_tokens, sampler, ..Default::default() };
    let mut generation = Generation::new(&mut model, prompt, generate)?;
    loop {
        match pollster::block_on(generation.step(&mut model))? {
            Step::Prefill(..) => {}
            Step::Token { text, .. } => {
                print!("{text}");
                std::io::stdout().flush()?;
            }
            Step::Finished { text, .. } => {
                println!("{text}");
                return Ok(());
            }
        }
    }
}
