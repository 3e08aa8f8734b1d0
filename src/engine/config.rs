//! What a decoder model is: its sizes and the traits that tell architectures apart.

use crate::metadata::Metadata;
use crate::model_header::Quoted;
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::activation::Activation;

/// Largest value of any single size in the header, and of the width over all heads; far above real
/// models.
const LARGEST_SIZE: u32 = 1 << 24;

/// Sizes and traits of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Name in `general.architecture`.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dimensions: usize,
    /// Positions the model was trained for.
    pub context_length: usize,
    /// Added under the root of every norm.
    pub epsilon: f32,
    /// Function of the feed-forward gate.
    pub activation: Activation,
    /// Factor on embeddings.
    pub embedding_scale: f32,
    /// Factor on query-key products.
    pub attention_scale: f32,
    /// Queries and keys rotate neighbouring elements in the file's row order.
    pub rope_pairs_neighbours: bool,
    /// Queries, keys and values get a bias.
    pub qkv_bias: bool,
    /// Queries and keys are normalised head by head.
    pub qk_norm: bool,
    /// The outputs of attention and feed-forward are normalised before they are added.
    pub sandwich_norms: bool,
    /// Rotation of layers that see everything.
    pub global: LayerAttention,
    /// Rotation and window of the other layers, and how many make a period with one global layer.
    pub local: Option<(LayerAttention, usize)>,
}

/// How far a layer sees and how it encodes positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerAttention {
    /// Base of the rotary angles.
    pub rope_base: f32,
    /// Positions are divided by this.
    pub rope_scale: f32,
    /// Positions a query looks back, itself included; none for all.
    pub window: Option<usize>,
}

impl Config {
    /// Reads and checks the sizes that the header states.
    ///
    /// # Errors
    /// `UnsupportedModel` for other architectures, `InvalidModel` for sizes that cannot be.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let architecture = metadata.string("general.architecture")?;
        match architecture {
            "llama" => Header { metadata, prefix: architecture }.llama(),
            "gemma3" => Header { metadata, prefix: architecture }.gemma3(),
            "qwen2" => Header { metadata, prefix: architecture }.qwen2(),
            "qwen3" => Header { metadata, prefix: architecture }.qwen3(),
            other => Err(unsupported(format!(
                "architecture '{}' is not supported (llama, gemma3, qwen2 and qwen3 are)",
                Quoted(other)
            ))),
        }
    }

    /// Rotation and window of a layer.
    pub fn layer(&self, index: usize) -> LayerAttention {
        match self.local {
            Some((local, period)) if !(index + 1).is_multiple_of(period) => local,
            _ => self.global,
        }
    }

    /// Width of keys and of values over all heads.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dimensions
    }

    /// Width of queries over all heads.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dimensions
    }
}

pub(crate) fn unsupported(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnsupportedModel, context)
}

/// The keys of one architecture.
pub(crate) struct Header<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) prefix: &'a str,
}

impl Header<'_> {
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// A size: present, positive and sane.
    pub(crate) fn size(&self, name: &str) -> Result<usize> {
        let key = self.key(name);
        match self.metadata.u32(&key)? {
            value @ 1..=LARGEST_SIZE => Ok(value as usize),
            value => Err(Error::invalid_model(format!("{key} is {value}"))),
        }
    }

    fn size_or(&self, name: &str, default: usize) -> Result<usize> {
        if self.metadata.contains(&self.key(name)) { self.size(name) } else { Ok(default) }
    }

    fn positive_or(&self, name: &str, default: f32) -> Result<f32> {
        let key = self.key(name);
        let value = self.metadata.f32_or(&key, default)?;
        if value > 0.0 {
            Ok(value)
        } else {
            Err(Error::invalid_model(format!("{key} is {value}, it must be positive")))
        }
    }

    /// The factor of linear position scaling; other kinds are not supported.
    fn rope_scale(&self) -> Result<f32> {
        match self.metadata.string_opt(&self.key("rope.scaling.type"))? {
            Some("none") => Ok(1.0),
            // As llama.cpp reads it: a factor without a kind is linear.
            None | Some("linear") => self.positive_or("rope.scaling.factor", 1.0),
            Some(_) => Err(unsupported("this kind of RoPE scaling is not supported")),
        }
    }

    /// What all decoders share, with llama's choices for the rest.
    fn llama(&self) -> Result<Config> {
        let hidden = self.size("embedding_length")?;
        let heads = self.size("attention.head_count")?;
        let kv_heads = self.size_or("attention.head_count_kv", heads)?;
        let head_dimensions = self.size_or("attention.key_length", hidden / heads)?;
        let epsilon_key = self.key("attention.layer_norm_rms_epsilon");
        let config = Config {
            architecture: self.prefix.to_owned(),
            hidden,
            layers: self.size("block_count")?,
            feed_forward: self.size("feed_forward_length")?,
            heads,
            kv_heads,
            head_dimensions,
            context_length: self.size("context_length")?,
            epsilon: self.metadata.f32(&epsilon_key)?,
            activation: Activation::Silu,
            embedding_scale: 1.0,
            attention_scale: 1.0 / (head_dimensions as f32).sqrt(),
            rope_pairs_neighbours: true,
            qkv_bias: false,
            qk_norm: false,
            sandwich_norms: false,
            global: LayerAttention {
                rope_base: self.positive_or("rope.freq_base", 10_000.0)?,
                rope_scale: self.rope_scale()?,
                window: None,
            },
            local: None,
        };
        let width = heads.checked_mul(head_dimensions);
        let same_length =
            |name| Ok::<_, Error>(self.size_or(name, head_dimensions)? == head_dimensions);
        if !heads.is_multiple_of(kv_heads) || config.layers > 1024 {
            let Config { layers, .. } = config;
            Err(Error::invalid_model(format!(
                "{heads} heads, {kv_heads} KV heads, {layers} layers"
            )))
        } else if width.is_none_or(|width| width > LARGEST_SIZE as usize) {
            Err(Error::invalid_model(format!("{heads} heads of {head_dimensions}")))
        } else if head_dimensions == 0 || !head_dimensions.is_multiple_of(2) {
            Err(Error::invalid_model(format!("heads are {head_dimensions} wide")))
        } else if config.epsilon.is_nan() || config.epsilon < 0.0 {
            Err(Error::invalid_model(format!("{epsilon_key} is {}", config.epsilon)))
        } else if !same_length("attention.value_length")? || !same_length("rope.dimension_count")? {
            Err(unsupported("heads whose parts differ in width are not supported"))
        } else {
            Ok(config)
        }
    }

    /// Qwen 2: biases, and rotation in half-split form.
    fn qwen2(&self) -> Result<Config> {
        Ok(Config { rope_pairs_neighbours: false, qkv_bias: true, ..self.llama()? })
    }

    /// Qwen 3: no biases, but norms on queries and keys, and heads of a width of their own.
    fn qwen3(&self) -> Result<Config> {
        Ok(Config { rope_pairs_neighbours: false, qk_norm: true, ..self.llama()? })
    }

    /// Gemma 3: five layers with a window to one without, each kind with its own RoPE base.
    fn gemma3(&self) -> Result<Config> {
        let base = self.llama()?;
        let local = LayerAttention {
            rope_base: self.positive_or("rope.freq_base_swa", 10_000.0)?,
            rope_scale: 1.0,
            window: Some(self.size("attention.sliding_window")?),
        };
        let period = self.size_or("attention.sliding_window_pattern", 6)?;
        Ok(Config {
            activation: Activation::GeluTanh,
            embedding_scale: (base.hidden as f32).sqrt(),
            rope_pairs_neighbours: false,
            qk_norm: true,
            sandwich_norms: true,
            local: Some((local, period)),
            ..base
        })
    }
}
