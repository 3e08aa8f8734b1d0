//! `frontdesk convert`: an encoder's published files become one GGUF file, the same bytes each time.
//!
//! Names, metadata keys and the spelling of tokens are those of llama.cpp's files, so that either
//! program reads the other's.

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Options {
    /// The folder with `config.json`, `model.safetensors` and `tokenizer.json`.
    #[arg(long)]
    from: PathBuf,
    /// The GGUF file to write.
    #[arg(long)]
    to: PathBuf,
    /// How matrices are stored; norms, biases and position tables are always f32.
    #[arg(long = "type", value_enum)]
    matrix_type: MatrixType,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MatrixType {
    /// 8-bit codes, 32 to a scale.
    #[value(name = "q8_0")]
    Q8_0,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

/// What `config.json` says.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    hidden_size: u32,
    intermediate_size: u32,
    num_hidden_layers: u32,
    num_attention_heads: u32,
    max_position_embeddings: u32,
    layer_norm_eps: f32,
    #[serde(default = "absolute")]
    position_embedding_type: String,
    vocab_size: usize,
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// What `tokenizer.json` says, as far as it goes into the file.
#[derive(Deserialize)]
struct Tokenizer {
    normalizer: Normalizer,
    model: WordPiece,
}

#[derive(Deserialize)]
struct Normalizer {
    #[serde(rename = "type")]
    kind: String,
    lowercase: bool,
}

#[derive(Deserialize)]
struct WordPiece {
    #[serde(rename = "type")]
    kind: String,
    vocab: HashMap<String, usize>,
    continuing_subword_prefix: String,
}

/// Tensors of a layer: the name in the published file, and in ours.
const LAYER_PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attn_q"),
    ("attention.self.key", "attn_k"),
    ("attention.self.value", "attn_v"),
    ("attention.output.dense", "attn_output"),
    ("attention.output.LayerNorm", "attn_output_norm"),
    ("intermediate.dense", "ffn_up"),
    ("output.dense", "ffn_down"),
    ("output.LayerNorm", "layer_output_norm"),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let from = &options.from;
    let config: Config = read_json(&from.join("config.json"))?;
    let tokenizer: Tokenizer = read_json(&from.join("tokenizer.json"))?;
    check(&config, &tokenizer)?;
    let weights = from.join("model.safetensors");
    let weights = candle_core::safetensors::load(&weights, &Device::Cpu)
        .with_context(|| format!("cannot read {}", weights.display()))?;
    let metadata = metadata(&config, &tokenizer, options.matrix_type)?;
    let tensors = tensors(&config, &weights, options.matrix_type)?;
    write(&options.to, &metadata, &tensors)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not as expected", path.display()))
}

fn check(config: &Config, tokenizer: &Tokenizer) -> Result<()> {
    let Tokenizer { normalizer, model } = tokenizer;
    ensure!(config.model_type == "bert", "only models of the type bert can be converted");
    ensure!(config.hidden_act == "gelu", "only the activation gelu is supported");
    ensure!(config.position_embedding_type == "absolute", "only absolute positions are supported");
    ensure!(
        normalizer.kind == "BertNormalizer" && normalizer.lowercase,
        "only uncased tokenizers are supported"
    );
    ensure!(
        model.kind == "WordPiece" && model.continuing_subword_prefix == "##",
        "only WordPiece tokenizers with the prefix ## are supported"
    );
    Ok(())
}

fn metadata(
    config: &Config,
    tokenizer: &Tokenizer,
    matrix_type: MatrixType,
) -> Result<BTreeMap<String, Value>> {
    let tokens = tokens(config, &tokenizer.model.vocab)?;
    let id = |token: &str| -> Result<Value> {
        let found = tokens.iter().position(|text| text == token);
        Ok(Value::U32(found.with_context(|| format!("there is no token {token}"))? as u32))
    };
    // As llama.cpp numbers them: 1 a piece of text, 3 a token that steers the model.
    let kinds =
        tokens.iter().map(|text| Value::I32(if is_special(text) { 3 } else { 1 })).collect();
    let file_type = match matrix_type {
        MatrixType::F32 => 0,
        MatrixType::F16 => 1,
        MatrixType::Q8_0 => 7,
    };
    let entries = [
        ("general.architecture", Value::String("bert".to_owned())),
        ("general.file_type", Value::U32(file_type)),
        ("general.quantization_version", Value::U32(2)),
        ("bert.block_count", Value::U32(config.num_hidden_layers)),
        ("bert.context_length", Value::U32(config.max_position_embeddings)),
        ("bert.embedding_length", Value::U32(config.hidden_size)),
        ("bert.feed_forward_length", Value::U32(config.intermediate_size)),
        ("bert.attention.head_count", Value::U32(config.num_attention_heads)),
        ("bert.attention.layer_norm_epsilon", Value::F32(config.layer_norm_eps)),
        ("bert.attention.causal", Value::Bool(false)),
        // The mean over all tokens.
        ("bert.pooling_type", Value::U32(1)),
        ("tokenizer.ggml.model", Value::String("bert".to_owned())),
        ("tokenizer.ggml.cls_token_id", id("[CLS]")?),
        ("tokenizer.ggml.seperator_token_id", id("[SEP]")?),
        ("tokenizer.ggml.unknown_token_id", id("[UNK]")?),
        ("tokenizer.ggml.padding_token_id", id("[PAD]")?),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.tokens", {
            Value::Array(tokens.iter().map(|text| Value::String(text.clone())).collect())
        }),
    ];
    Ok(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The vocabulary by id: a mark before what begins a word, none before what goes on with one.
fn tokens(config: &Config, vocab: &HashMap<String, usize>) -> Result<Vec<String>> {
    let mut tokens = vec![None; config.vocab_size.min(vocab.len())];
    for (text, &id) in vocab {
        let Some(place) = tokens.get_mut(id) else { bail!("the token ids have holes") };
        *place = Some(match text.strip_prefix("##") {
            _ if is_special(text) => text.clone(),
            Some(rest) => rest.to_owned(),
            None => format!("\u{2581}{text}"),
        });
    }
    tokens.into_iter().collect::<Option<_>>().context("the token ids have holes")
}

fn is_special(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']') && text.len() > 2
}

fn tensors(
    config: &Config,
    weights: &HashMap<String, Tensor>,
    matrix_type: MatrixType,
) -> Result<Vec<(String, QTensor)>> {
    let matrices = match matrix_type {
        MatrixType::Q8_0 => GgmlDType::Q8_0,
        MatrixType::F16 => GgmlDType::F16,
        MatrixType::F32 => GgmlDType::F32,
    };
    let tensor = |from: &str, to: &str, wanted: GgmlDType| {
        // Some files name the whole model before each part.
        let found = weights.get(from).or_else(|| weights.get(&format!("bert.{from}")));
        let tensor = found.with_context(|| format!("the weights have no {from}"))?;
        let width = tensor.dims().last().copied().unwrap_or(0);
        let fits = width.is_multiple_of(wanted.block_size());
        let stored = if tensor.rank() == 2 && fits { wanted } else { GgmlDType::F32 };
        let quantised = QTensor::quantize(&tensor.to_dtype(DType::F32)?, stored)?;
        Ok::<_, anyhow::Error>((to.to_owned(), quantised))
    };
    let mut tensors = vec![
        tensor("embeddings.word_embeddings.weight", "token_embd.weight", matrices)?,
        tensor("embeddings.position_embeddings.weight", "position_embd.weight", GgmlDType::F32)?,
        tensor("embeddings.token_type_embeddings.weight", "token_types.weight", GgmlDType::F32)?,
        tensor("embeddings.LayerNorm.weight", "token_embd_norm.weight", GgmlDType::F32)?,
        tensor("embeddings.LayerNorm.bias", "token_embd_norm.bias", GgmlDType::F32)?,
    ];
    for layer in 0..config.num_hidden_layers {
        for (from, to) in LAYER_PARTS {
            for part in ["weight", "bias"] {
                let from = format!("encoder.layer.{layer}.{from}.{part}");
                tensors.push(tensor(&from, &format!("blk.{layer}.{to}.{part}"), matrices)?);
            }
        }
    }
    Ok(tensors)
}

/// Writes under another name first, so that there is never half a file.
pub(crate) fn write(
    to: &Path,
    metadata: &BTreeMap<String, Value>,
    tensors: &[(String, QTensor)],
) -> Result<()> {
    let partial = to.with_extension("partial");
    let written = (|| {
        let mut file = BufWriter::new(File::create(&partial)?);
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        gguf_file::write(&mut file, &metadata, &tensors)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        Ok::<_, anyhow::Error>(std::fs::rename(&partial, to)?)
    })();
    if written.is_err() {
        // What is left of it is of no use; that it could not be removed is no news.
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests;
