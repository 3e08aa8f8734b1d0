//! A decoder's tensors on a backend, loaded one by one so that the file is never whole in memory.

use crate::backend::{Backend, Linear, LinearLayer};
use crate::config::Config;
use crate::loader::{Loader, Progress, refuse_unknown};
use crate::model_file::ModelFile;
use crate::{Error, Result};
use std::io::{Read, Seek};

/// Weights of a decoder.
pub struct Weights<B: Backend> {
    /// `[vocabulary, hidden]`.
    pub embedding: B::Matrix,
    /// Layers in order.
    pub layers: Vec<LayerWeights<B>>,
    /// `[hidden]`.
    pub output_norm: B::Vector,
    /// `[vocabulary, hidden]`; none where the embedding serves.
    pub output: Option<B::Matrix>,
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Weights in all.
    pub parameters: u64,
}

/// Weights of one layer. Widths: query = heads * head, kv = kv_heads * head.
pub struct LayerWeights<B: Backend> {
    /// `[hidden]`.
    pub attention_norm: B::Vector,
    /// `[query, hidden]`.
    pub query: Linear<B>,
    /// `[kv, hidden]`.
    pub key: Linear<B>,
    /// `[kv, hidden]`.
    pub value: Linear<B>,
    /// `[head]` each: queries, keys.
    pub qk_norm: Option<(B::Vector, B::Vector)>,
    /// `[hidden, query]`.
    pub attention_output: Linear<B>,
    /// `[hidden]` each: after attention, after feed-forward.
    pub sandwich_norms: Option<(B::Vector, B::Vector)>,
    /// `[hidden]`.
    pub feed_forward_norm: B::Vector,
    /// `[feed_forward, hidden]`.
    pub gate: B::Matrix,
    /// `[feed_forward, hidden]`.
    pub up: Linear<B>,
    /// `[hidden, feed_forward]`.
    pub down: Linear<B>,
}

impl<B: Backend> Weights<B> {
    /// Loads every tensor the configuration asks for.
    ///
    /// # Errors
    /// `InvalidModel` when one is missing or has another shape, `UnsupportedModel` when the file
    /// has tensors that change the computation in a way this engine does not know.
    pub fn load<R: Read + Seek>(
        file: &mut ModelFile<R>,
        config: &Config,
        backend: &mut B,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let biases: &[&str] = if config.qkv_bias { &LAYER_BIASES } else { &[] };
        refuse_unknown(file, &TENSORS, &[&LAYER_TENSORS, biases].concat())?;
        let vocabulary = match file.tensor("token_embd.weight").map(|entry| &entry.shape[..]) {
            Some(&[vocabulary, _]) => vocabulary,
            _ => return Err(Error::invalid_model("token_embd.weight is missing or not a matrix")),
        };
        let mut loader = Loader::new(file, backend, progress);
        let hidden = config.hidden;
        let embedding = loader.matrix("token_embd.weight", [vocabulary, hidden])?;
        let output = if loader.has("output.weight") {
            Some(loader.matrix("output.weight", [vocabulary, hidden])?)
        } else {
            None
        };
        let layers =
            (0..config.layers).map(|index| loader.layer(config, index)).collect::<Result<_>>()?;
        let output_norm = loader.vector("output_norm.weight", hidden)?;
        let parameters = loader.finish()?;
        Ok(Self { embedding, layers, output_norm, output, vocabulary, parameters })
    }
}

/// Tensors outside the layers.
const TENSORS: [&str; 3] = ["token_embd.weight", "output.weight", "output_norm.weight"];

/// Biases of a layer, where the architecture has them.
const LAYER_BIASES: [&str; 3] = ["attn_q.bias", "attn_k.bias", "attn_v.bias"];

/// Tensors of a layer.
const LAYER_TENSORS: [&str; 13] = [
    "attn_norm.weight",
    "attn_q.weight",
    "attn_k.weight",
    "attn_v.weight",
    "attn_q_norm.weight",
    "attn_k_norm.weight",
    "attn_output.weight",
    "post_attention_norm.weight",
    "post_ffw_norm.weight",
    "ffn_norm.weight",
    "ffn_gate.weight",
    "ffn_up.weight",
    "ffn_down.weight",
];

impl<R: Read + Seek, B: Backend> Loader<'_, R, B> {
    /// A query or key matrix, its rows in the order of half-split rotation.
    fn rotated_matrix(
        &mut self,
        name: &str,
        shape: [usize; 2],
        config: &Config,
    ) -> Result<B::Matrix> {
        if !config.rope_pairs_neighbours {
            return self.matrix(name, shape);
        }
        let width = config.head_dimensions;
        let source_row = |row: usize| {
            let (head, element) = (row / width, row % width);
            let (pair, second) = (element % (width / 2), element / (width / 2));
            head * width + 2 * pair + second
        };
        self.reordered_matrix(name, shape, (width, &source_row))
    }

    /// A matrix without a bias.
    fn linear(&mut self, name: &str, shape: [usize; 2]) -> Result<Linear<B>> {
        Ok(LinearLayer { matrix: self.matrix(name, shape)?, bias: None })
    }

    /// The bias of queries, keys or values, where the architecture has them.
    fn bias(
        &mut self,
        config: &Config,
        layer: usize,
        part: &str,
        length: usize,
    ) -> Result<Option<B::Vector>> {
        let name = format!("blk.{layer}.{part}.bias");
        config.qkv_bias.then(|| self.vector(&name, length)).transpose()
    }

    fn layer(&mut self, config: &Config, index: usize) -> Result<LayerWeights<B>> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (hidden, feed_forward) = (config.hidden, config.feed_forward);
        let (query, kv, head) = (config.query_width(), config.kv_width(), config.head_dimensions);
        Ok(LayerWeights {
            attention_norm: self.vector(&name("attn_norm"), hidden)?,
            query: LinearLayer {
                matrix: self.rotated_matrix(&name("attn_q"), [query, hidden], config)?,
                bias: self.bias(config, index, "attn_q", query)?,
            },
            key: LinearLayer {
                matrix: self.rotated_matrix(&name("attn_k"), [kv, hidden], config)?,
                bias: self.bias(config, index, "attn_k", kv)?,
            },
            value: LinearLayer {
                matrix: self.matrix(&name("attn_v"), [kv, hidden])?,
                bias: self.bias(config, index, "attn_v", kv)?,
            },
            qk_norm: match config.qk_norm {
                true => Some((
                    self.vector(&name("attn_q_norm"), head)?,
                    self.vector(&name("attn_k_norm"), head)?,
                )),
                false => None,
            },
            attention_output: self.linear(&name("attn_output"), [hidden, query])?,
            sandwich_norms: match config.sandwich_norms {
                true => Some((
                    self.vector(&name("post_attention_norm"), hidden)?,
                    self.vector(&name("post_ffw_norm"), hidden)?,
                )),
                false => None,
            },
            feed_forward_norm: self.vector(&name("ffn_norm"), hidden)?,
            gate: self.matrix(&name("ffn_gate"), [feed_forward, hidden])?,
            up: self.linear(&name("ffn_up"), [feed_forward, hidden])?,
            down: self.linear(&name("ffn_down"), [hidden, feed_forward])?,
        })
    }
}
