//! The forward pass of encoder models: every token sees its whole text, norms come after each part.
//!
//! Source: Devlin et al., BERT, 2018.

use crate::backend::{
    Activation, AttentionSpec, Backend, Expansion, HeadTransform, Pooling, Segment,
};
use crate::encoder_config::EncoderConfig;
use crate::encoder_weights::{EncoderLayer, EncoderWeights};
use crate::loader::Progress;
use crate::model_file::ModelFile;
use crate::{Error, ErrorKind, Result};
use std::io::{Read, Seek};

/// Most tokens of one forward pass, and so of one text: what the sentence-transformers models of
/// this kind were tuned for.
pub const PASS_TOKENS: usize = 256;

/// Most vectors of a text from one pass.
pub const MOST_TAPS: usize = 32;

/// Where a vector of a text is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Layers before it; 0 is the embedding.
    pub layers: usize,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
}

/// An encoder model on a backend, with every buffer of its forward pass.
pub struct Encoder<B: Backend> {
    config: EncoderConfig,
    weights: EncoderWeights<B>,
    backend: B,
    buffers: Buffers<B>,
}

/// Buffers for at most [`PASS_TOKENS`] tokens.
struct Buffers<B: Backend> {
    cursor: B::Cursor,
    /// Keys and values of the layer at hand: nothing is remembered from pass to pass.
    cache: B::Cache,
    /// Residual stream, `[tokens, hidden]`.
    residual: B::Tensor,
    /// `[tokens, hidden]` each.
    query: B::Tensor,
    key: B::Tensor,
    value: B::Tensor,
    attended: B::Tensor,
    /// `[tokens, feed_forward]`.
    wide: B::Tensor,
    /// Pooled texts, `[texts, hidden]`, by tap.
    pooled: Vec<B::Tensor>,
}

impl<B: Backend> Encoder<B> {
    /// Loads the model of `file` to `backend`.
    ///
    /// # Errors
    /// As [`Decoder::load`](crate::decoder::Decoder::load).
    pub fn load<R: Read + Seek>(
        file: &mut ModelFile<R>,
        mut backend: B,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let config = EncoderConfig::from_metadata(file.metadata())?;
        let weights = EncoderWeights::load(file, &config, &mut backend, progress)?;
        let buffers = Buffers::new(&config, &mut backend)?;
        Ok(Self { config, weights, backend, buffers })
    }

    /// Waits for all that was begun, so that what failed is known.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn ready(&mut self) -> Result<()> {
        self.backend.ready().await
    }

    /// Where the model is.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Sizes and traits.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.weights.vocabulary
    }

    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.weights.parameters
    }

    /// Bytes the backend holds.
    pub fn bytes(&self) -> usize {
        self.backend.bytes()
    }

    /// Most tokens of a text.
    pub fn longest_text(&self) -> usize {
        PASS_TOKENS.min(self.config.positions)
    }

    /// Where the model's own vectors of texts are taken.
    pub fn tap(&self) -> Tap {
        Tap { layers: self.config.layers, pooling: self.config.pooling }
    }

    /// Runs one pass over whole texts, one after the other in `ids`, as far as the last of `taps`,
    /// and pools each text at each tap: its vector is the row of its index in what
    /// [`Encoder::read`] gives.
    ///
    /// # Errors
    /// `InvalidInput` for no text, an empty one, a too long one, too many tokens, unknown ids, or
    /// taps that [`Encoder::check_taps`] refuses.
    pub fn forward(&mut self, ids: &[u32], lengths: &[usize], taps: &[Tap]) -> Result<()> {
        self.check(ids, lengths)?;
        self.check_taps(taps)?;
        let segments: Vec<Segment> =
            lengths.iter().map(|&tokens| Segment { tokens, context: 0..0 }).collect();
        let Self { config, weights, backend, buffers } = self;
        backend.seek(&mut buffers.cursor, ids, 0, &segments);
        let Buffers { cursor, residual, .. } = buffers;
        backend.embed(cursor, &weights.embedding, 1.0, residual);
        backend.add_positions(cursor, &weights.positions, &weights.token_type, residual);
        let (norm, bias) = &weights.embedding_norm;
        backend.layer_norm_in_place(cursor, residual, (norm, bias), config.epsilon);
        let last = taps.iter().map(|tap| tap.layers).max().unwrap_or(0);
        buffers.pool(backend, config, (0, lengths.len()), taps)?;
        for (index, layer) in weights.layers[..last].iter().enumerate() {
            buffers.attention(backend, config, layer);
            buffers.feed_forward(backend, config, layer);
            buffers.pool(backend, config, (index + 1, lengths.len()), taps)?;
        }
        Ok(())
    }

    /// Copies the vectors of the last pass at the tap of index `tap`, `[texts, hidden]`, not
    /// normalised.
    pub async fn read(&mut self, tap: usize, into: &mut [f32]) -> Result<()> {
        self.backend.read(&self.buffers.pooled[tap], into).await
    }

    /// # Errors
    /// `InvalidInput` for none, more than [`MOST_TAPS`], or one after more layers than there are.
    pub fn check_taps(&self, taps: &[Tap]) -> Result<()> {
        let most = self.config.layers;
        if taps.is_empty() || taps.len() > MOST_TAPS || taps.iter().any(|tap| tap.layers > most) {
            let message = format!(
                "1 to {MOST_TAPS} vectors of a text are possible, each after 0 to {most} layers"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    fn check(&self, ids: &[u32], lengths: &[usize]) -> Result<()> {
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let tokens = lengths.iter().fold(0, |sum: usize, length| sum.saturating_add(*length));
        let longest = self.longest_text();
        if ids.is_empty() || ids.len() > PASS_TOKENS || ids.len() != tokens {
            return invalid(format!(
                "{tokens} tokens in one pass; 1 to {PASS_TOKENS} are possible"
            ));
        }
        if let Some(length) = lengths.iter().find(|&&length| length == 0 || length > longest) {
            return invalid(format!("a text of {length} tokens; 1 to {longest} are possible"));
        }
        match ids.iter().find(|&&id| id as usize >= self.weights.vocabulary) {
            Some(id) => invalid(format!("token {id} is not in the vocabulary")),
            None => Ok(()),
        }
    }
}

impl<B: Backend> Buffers<B> {
    fn new(config: &EncoderConfig, backend: &mut B) -> Result<Self> {
        let EncoderConfig { hidden, heads, feed_forward, .. } = *config;
        let tensor = |backend: &mut B, width| backend.tensor(PASS_TOKENS, width);
        let [query, key, value] = backend.tensors(PASS_TOKENS, [hidden; 3])?;
        Ok(Self {
            cursor: backend.cursor(PASS_TOKENS)?,
            cache: backend.cache(heads, hidden / heads, PASS_TOKENS)?,
            residual: tensor(backend, hidden)?,
            query,
            key,
            value,
            attended: tensor(backend, hidden)?,
            wide: tensor(backend, feed_forward)?,
            pooled: Vec::new(),
        })
    }

    /// Pools the residual stream after so many layers, of so many texts, for the taps that are there.
    fn pool(
        &mut self,
        backend: &mut B,
        config: &EncoderConfig,
        (layers, texts): (usize, usize),
        taps: &[Tap],
    ) -> Result<()> {
        while self.pooled.len() < taps.len() {
            self.pooled.push(backend.tensor(PASS_TOKENS, config.hidden)?);
        }
        let rows: Vec<usize> = (0..texts).collect();
        for (tap, pooled) in taps.iter().zip(&mut self.pooled) {
            if tap.layers == layers {
                backend.pool(&self.cursor, tap.pooling, &mut self.residual, &rows, pooled);
            }
        }
        Ok(())
    }

    fn attention(&mut self, backend: &mut B, config: &EncoderConfig, layer: &EncoderLayer<B>) {
        let Self { cursor, cache, residual, query, key, value, attended, .. } = self;
        let outputs = &mut [
            (&layer.query, &mut *query),
            (&layer.key, &mut *key),
            (&layer.value, &mut *value),
        ];
        backend.project(cursor, residual, None, outputs);
        let transform = || HeadTransform { norm: None, rope: None };
        backend.write_cache(cursor, transform(), key, value, cache);
        let width = config.hidden / config.heads;
        let scale = 1.0 / (width as f32).sqrt();
        let spec = AttentionSpec { heads: config.heads, scale, window: None, causal: false };
        backend.attention(cursor, (spec, transform()), query, cache, attended);
        backend.add_product(cursor, attended, &layer.attention_output, None, residual);
        let (norm, bias) = &layer.attention_norm;
        backend.layer_norm_in_place(cursor, residual, (norm, bias), config.epsilon);
    }

    fn feed_forward(&mut self, backend: &mut B, config: &EncoderConfig, layer: &EncoderLayer<B>) {
        let Self { cursor, residual, wide, .. } = self;
        let expansion = Expansion { activation: Activation::GeluErf, gate: None, up: &layer.up };
        backend.expand(cursor, residual, None, expansion, wide);
        backend.add_product(cursor, wide, &layer.down, None, residual);
        let (norm, bias) = &layer.output_norm;
        backend.layer_norm_in_place(cursor, residual, (norm, bias), config.epsilon);
    }
}
