//! What an encoder model is: its sizes, and how its tokens become one vector.

use crate::config::{Header, unsupported};
use crate::metadata::Metadata;
use crate::model_header::Quoted;
use crate::{Error, Result};
use frontdesk_kernels::pooling::Pooling;

/// Sizes and traits of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderConfig {
    /// Name in `general.architecture`.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Width of the feed-forward part.
    pub feed_forward: usize,
    /// Heads, each `hidden / heads` wide.
    pub heads: usize,
    /// Rows of the position table.
    pub positions: usize,
    /// Added under the root of every norm.
    pub epsilon: f32,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
}

impl EncoderConfig {
    /// Reads and checks the sizes that the header states.
    ///
    /// # Errors
    /// `UnsupportedModel` for other architectures, `InvalidModel` for sizes that cannot be.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let architecture = metadata.string("general.architecture")?;
        if architecture != "bert" {
            let name = Quoted(architecture);
            return Err(unsupported(format!("'{name}' is no supported encoder (bert is)")));
        }
        let header = Header { metadata, prefix: architecture };
        let config = Self {
            architecture: architecture.to_owned(),
            hidden: header.size("embedding_length")?,
            layers: header.size("block_count")?,
            feed_forward: header.size("feed_forward_length")?,
            heads: header.size("attention.head_count")?,
            positions: header.size("context_length")?,
            epsilon: metadata.f32(&header.key("attention.layer_norm_epsilon"))?,
            // The numbers of GGUF's `pooling_type`.
            pooling: match metadata.u32_or(&header.key("pooling_type"), 1)? {
                1 => Pooling::Mean,
                2 => Pooling::First,
                _ => return Err(unsupported("this kind of pooling is not supported")),
            },
        };
        let Self { hidden, heads, layers, epsilon, .. } = config;
        if !hidden.is_multiple_of(heads) || layers > 1024 {
            let message = format!("{heads} heads in a width of {hidden}, {layers} layers");
            Err(Error::invalid_model(message))
        } else if epsilon < 0.0 {
            Err(Error::invalid_model(format!("the norms' epsilon is {epsilon}")))
        } else if metadata.bool_or(&header.key("attention.causal"), false)? {
            Err(unsupported("an encoder with causal attention is not supported"))
        } else {
            Ok(config)
        }
    }
}
