//! `frontdesk embed`: unit vectors of texts, one line of JSON each.

use anyhow::{Context, Result, ensure};
use clap::Args;
use frontdesk_engine::cpu::Cpu;
use frontdesk_engine::embedding_model::EmbeddingModel;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The GGUF file of an encoder.
    #[arg(long)]
    model: PathBuf,
    /// Lines of JSON with `text`.
    #[arg(long, conflicts_with = "texts")]
    file: Option<PathBuf>,
    /// The texts.
    texts: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
}

#[derive(Serialize)]
struct Line<'a> {
    vector: &'a [f32],
    tokens: usize,
    truncated: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let path = options.model.display();
    let file = File::open(&options.model).with_context(|| format!("cannot open {path}"))?;
    let mut model = EmbeddingModel::load(file, Cpu::default(), &mut |_, _| {})
        .with_context(|| format!("cannot load {path}"))?;
    let texts = match &options.file {
        None => options.texts.clone(),
        Some(path) => {
            let file =
                File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let rows = BufReader::new(file).lines();
            rows.map(|line| Ok(serde_json::from_str::<Row>(&line?)?.text)).collect::<Result<_>>()?
        }
    };
    ensure!(!texts.is_empty(), "there is no text to embed");
    let mut embeddings = model.embed(&texts)?;
    while pollster::block_on(embeddings.step(&mut model))? {}
    let mut out = std::io::stdout().lock();
    for embedding in embeddings.into_embeddings() {
        let line = Line {
            vector: &embedding.vector,
            tokens: embedding.tokens,
            truncated: embedding.is_truncated,
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}
