//! An encoder's tensors on a backend, by llama.cpp's names.

use crate::backend::{Backend, Linear, LinearLayer};
use crate::encoder_config::EncoderConfig;
use crate::loader::{Loader, Progress, refuse_unknown};
use crate::model_file::ModelFile;
use crate::{Error, Result};
use std::io::{Read, Seek};

/// Weights of an encoder.
pub(crate) struct EncoderWeights<B: Backend> {
    /// `[vocabulary, hidden]`.
    pub(crate) embedding: B::Matrix,
    /// `[positions, hidden]`.
    pub(crate) positions: B::Matrix,
    /// `[hidden]`: what every token of a text gets; texts that come in pairs are not supported.
    pub(crate) token_type: B::Vector,
    pub(crate) embedding_norm: Norm<B>,
    pub(crate) layers: Vec<EncoderLayer<B>>,
    /// Rows of the embedding.
    pub(crate) vocabulary: usize,
    /// Weights in all.
    pub(crate) parameters: u64,
}

/// Weights of one layer.
pub(crate) struct EncoderLayer<B: Backend> {
    /// `[hidden, hidden]` each: query, key, value, output.
    pub(crate) query: Linear<B>,
    pub(crate) key: Linear<B>,
    pub(crate) value: Linear<B>,
    pub(crate) attention_output: Linear<B>,
    pub(crate) attention_norm: Norm<B>,
    /// `[feed_forward, hidden]`.
    pub(crate) up: Linear<B>,
    /// `[hidden, feed_forward]`.
    pub(crate) down: Linear<B>,
    pub(crate) output_norm: Norm<B>,
}

/// Weight and bias of a layer norm, `[hidden]` each.
pub(crate) type Norm<B> = (<B as Backend>::Vector, <B as Backend>::Vector);

/// Tensors outside the layers.
const TENSORS: [&str; 5] = [
    "token_embd.weight",
    "position_embd.weight",
    "token_types.weight",
    "token_embd_norm.weight",
    "token_embd_norm.bias",
];

/// Tensors of a layer.
const LAYER_TENSORS: [&str; 16] = [
    "attn_q.weight",
    "attn_q.bias",
    "attn_k.weight",
    "attn_k.bias",
    "attn_v.weight",
    "attn_v.bias",
    "attn_output.weight",
    "attn_output.bias",
    "attn_output_norm.weight",
    "attn_output_norm.bias",
    "ffn_up.weight",
    "ffn_up.bias",
    "ffn_down.weight",
    "ffn_down.bias",
    "layer_output_norm.weight",
    "layer_output_norm.bias",
];

impl<B: Backend> EncoderWeights<B> {
    /// Loads every tensor; errors as those of [`Weights`](crate::weights::Weights).
    pub(crate) fn load<R: Read + Seek>(
        file: &mut ModelFile<R>,
        config: &EncoderConfig,
        backend: &mut B,
        progress: Progress<'_>,
    ) -> Result<Self> {
        refuse_unknown(file, &TENSORS, &LAYER_TENSORS)?;
        let vocabulary = match file.tensor("token_embd.weight").map(|entry| &entry.shape[..]) {
            Some(&[vocabulary, _]) => vocabulary,
            _ => return Err(Error::invalid_model("token_embd.weight is missing or not a matrix")),
        };
        let hidden = config.hidden;
        let mut loader = Loader::new(file, backend, progress);
        Ok(Self {
            embedding: loader.matrix("token_embd.weight", [vocabulary, hidden])?,
            positions: loader.matrix("position_embd.weight", [config.positions, hidden])?,
            token_type: loader.first_row("token_types.weight", hidden)?,
            embedding_norm: norm(&mut loader, "token_embd_norm", hidden)?,
            layers: (0..config.layers)
                .map(|index| layer(&mut loader, config, index))
                .collect::<Result<_>>()?,
            vocabulary,
            parameters: loader.finish()?,
        })
    }
}

fn norm<R: Read + Seek, B: Backend>(
    loader: &mut Loader<'_, R, B>,
    name: &str,
    length: usize,
) -> Result<Norm<B>> {
    Ok((
        loader.vector(&format!("{name}.weight"), length)?,
        loader.vector(&format!("{name}.bias"), length)?,
    ))
}

fn layer<R: Read + Seek, B: Backend>(
    loader: &mut Loader<'_, R, B>,
    config: &EncoderConfig,
    index: usize,
) -> Result<EncoderLayer<B>> {
    let (hidden, wide) = (config.hidden, config.feed_forward);
    let name = |part: &str| format!("blk.{index}.{part}");
    let mut linear = |part: &str, shape: [usize; 2]| {
        Ok::<_, Error>(LinearLayer {
            matrix: loader.matrix(&format!("{}.weight", name(part)), shape)?,
            bias: Some(loader.vector(&format!("{}.bias", name(part)), shape[0])?),
        })
    };
    let [query, key, value, attention_output] = [
        linear("attn_q", [hidden, hidden])?,
        linear("attn_k", [hidden, hidden])?,
        linear("attn_v", [hidden, hidden])?,
        linear("attn_output", [hidden, hidden])?,
    ];
    let (up, down) = (linear("ffn_up", [wide, hidden])?, linear("ffn_down", [hidden, wide])?);
    let attention_norm = norm(loader, &name("attn_output_norm"), hidden)?;
    let output_norm = norm(loader, &name("layer_output_norm"), hidden)?;
    Ok(EncoderLayer { query, key, value, attention_output, attention_norm, up, down, output_norm })
}
