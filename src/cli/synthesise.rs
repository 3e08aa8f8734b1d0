//! `frontdesk synthesise`: a model of random weights, of a size that is to be timed and has no file at hand.

use crate::convert::write;
use anyhow::{Context, Result, ensure};
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use clap::Args;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Options {
    /// The GGUF file of a llama whose tokenizer and other metadata it has.
    #[arg(long)]
    like: PathBuf,
    /// The GGUF file to write.
    #[arg(long)]
    to: PathBuf,
    #[arg(long)]
    layers: u32,
    /// Width of the residual stream, a multiple of 32.
    #[arg(long)]
    hidden: u32,
    /// Heads of queries.
    #[arg(long)]
    heads: u32,
    /// Heads of keys and values.
    #[arg(long)]
    kv_heads: u32,
    /// Width of the feed-forward part, a multiple of 32.
    #[arg(long)]
    feed_forward: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let path = options.like.display();
    let mut file = File::open(&options.like).with_context(|| format!("cannot open {path}"))?;
    let like = Content::read(&mut file).with_context(|| format!("cannot read {path}"))?;
    let vocabulary = match like.tensor_infos.get("token_embd.weight") {
        Some(table) => table.shape.dims().first().copied().unwrap_or(0),
        None => 0,
    };
    ensure!(vocabulary > 0, "{path} has no token_embd.weight");
    write(&options.to, &metadata(options, like)?, &tensors(options, vocabulary)?)
}

fn metadata(options: &Options, like: Content) -> Result<BTreeMap<String, Value>> {
    let architecture = like.metadata.get("general.architecture").map(Value::to_string);
    ensure!(
        architecture.transpose()?.is_some_and(|name| name == "llama"),
        "only models of the architecture llama can be synthesised"
    );
    let Options { layers, hidden, heads, kv_heads, feed_forward, .. } = *options;
    ensure!((1..=1024).contains(&layers), "1 to 1024 layers are possible");
    ensure!(
        [hidden, feed_forward].iter().all(|&width| width > 0 && width.is_multiple_of(32)),
        "widths must be multiples of 32"
    );
    ensure!(
        heads > 0 && kv_heads > 0 && hidden.is_multiple_of(heads) && heads.is_multiple_of(kv_heads),
        "heads must divide the width, and heads of keys those of queries"
    );
    let dimensions = hidden / heads;
    ensure!(dimensions.is_multiple_of(2), "a head of {dimensions} dimensions cannot be rotated");
    let mut metadata: BTreeMap<String, Value> = like.metadata.into_iter().collect();
    let numbers = [
        ("block_count", layers),
        ("embedding_length", hidden),
        ("feed_forward_length", feed_forward),
        ("attention.head_count", heads),
        ("attention.head_count_kv", kv_heads),
        ("attention.key_length", dimensions),
        ("attention.value_length", dimensions),
        ("rope.dimension_count", dimensions),
    ];
    for (key, number) in numbers {
        metadata.insert(format!("llama.{key}"), Value::U32(number));
    }
    Ok(metadata)
}

/// Matrices in Q4_1, which look random and keep activations about as large as they were; norms of ones. The output
/// layer is the embedding.
fn tensors(options: &Options, vocabulary: usize) -> Result<Vec<(String, QTensor)>> {
    let [hidden, wide] = [options.hidden as usize, options.feed_forward as usize];
    let keys = hidden / options.heads as usize * options.kv_heads as usize;
    let matrix = |rows: usize, columns: usize| {
        let reach = (3.0 / columns as f32).sqrt();
        let weights = Tensor::rand(-reach, reach, (rows, columns), &Device::Cpu)?;
        QTensor::quantize(&weights, GgmlDType::Q4_1)
    };
    let norm =
        || QTensor::quantize(&Tensor::ones(hidden, DType::F32, &Device::Cpu)?, GgmlDType::F32);
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), matrix(vocabulary, hidden)?),
        ("output_norm.weight".to_owned(), norm()?),
    ];
    for layer in 0..options.layers {
        let parts = [
            ("attn_norm", norm()?),
            ("attn_q", matrix(hidden, hidden)?),
            ("attn_k", matrix(keys, hidden)?),
            ("attn_v", matrix(keys, hidden)?),
            ("attn_output", matrix(hidden, hidden)?),
            ("ffn_norm", norm()?),
            ("ffn_gate", matrix(wide, hidden)?),
            ("ffn_up", matrix(wide, hidden)?),
            ("ffn_down", matrix(hidden, wide)?),
        ];
        tensors.extend(parts.map(|(name, tensor)| (format!("blk.{layer}.{name}.weight"), tensor)));
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests;
