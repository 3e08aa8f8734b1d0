//! What a compute backend offers: the few operations that the forward passes name.
//!
//! A forward pass records operations over tensors that live on the backend; only [`Backend::read`]
//! waits. Ids and places of the tokens in flight live in a [`Backend::Cursor`], so that a device
//! can advance them itself and run ahead of the caller. A pass may carry several sequences, one
//! [`Segment`] each. Activations are `[tokens, width]`, single
//! precision; how weights are stored is the backend's affair.

use crate::{Error, ErrorKind, Result};
pub use frontdesk_kernels::activation::Activation;
pub use frontdesk_kernels::attention::{AttentionSpec, Segment};
pub use frontdesk_kernels::pooling::Pooling;
pub use frontdesk_kernels::quant::{TensorType, decode_codes};
use frontdesk_kernels::rope::frequency;
use std::future::Future;
use std::ops::Range;

/// A weight matrix as it lies in the model file.
pub struct MatrixSource<'a> {
    /// Encoding of the rows.
    pub tensor_type: TensorType,
    /// `[rows, columns]`.
    pub shape: [usize; 2],
    /// Row `r` on the backend is row `source_row(r)` of the file.
    pub source_row: &'a (dyn Fn(usize) -> usize + Sync),
    /// Rows that are reordered among themselves only; a multiple of 8.
    pub unit: usize,
    /// Where the rows come from.
    pub rows: &'a mut dyn RowReader,
}

/// Reads rows of one matrix, so that a large one is never whole in memory twice.
pub trait RowReader {
    /// The file's bytes of some rows.
    fn read(&mut self, rows: Range<usize>) -> Result<&[u8]>;
}

/// Where the tokens in flight lie in a rotary table: angles `position * base^(-2 i / dimensions)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeSpec {
    /// Positions to prepare.
    pub positions: usize,
    /// Width of a head.
    pub dimensions: usize,
    /// Base of the geometric series of angles.
    pub base: f32,
    /// Positions are divided by this.
    pub scale: f32,
}

/// A matrix and what is added to its product.
pub struct LinearLayer<Matrix, Vector> {
    /// `[rows, columns]`.
    pub matrix: Matrix,
    /// `[rows]`.
    pub bias: Option<Vector>,
}

/// A linear layer on a backend.
pub type Linear<B> = LinearLayer<<B as Backend>::Matrix, <B as Backend>::Vector>;

/// A root-mean-square norm by rows of the weight's length, `x / sqrt(mean(x^2) + epsilon) * weight`.
pub type RmsNorm<'a, B> = (&'a <B as Backend>::Vector, f32);

/// What becomes of queries and keys, head by head, before they meet.
pub struct HeadTransform<'a, B: Backend> {
    /// A norm of each head.
    pub norm: Option<RmsNorm<'a, B>>,
    /// Then a rotation by the token's position.
    pub rope: Option<&'a B::Rope>,
}

/// The widening half of a feed-forward part.
pub struct Expansion<'a, B: Backend> {
    /// Of the gate, where there is one, else of `up`.
    pub activation: Activation,
    /// `[feed_forward, hidden]`.
    pub gate: Option<&'a B::Matrix>,
    /// `[feed_forward, hidden]`.
    pub up: &'a Linear<B>,
}

impl RopeSpec {
    /// The angle by which pair `pair` of a head turns at `position`.
    pub fn angle(&self, position: usize, pair: usize) -> f64 {
        let frequency = frequency(pair, self.dimensions, self.base);
        position as f64 / f64::from(self.scale) * frequency
    }
}

/// How a backend is to choose a token; see [`SamplerOptions`](crate::sampler::SamplerOptions).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The most likely tokens among which is drawn; none for all.
    pub top_k: Option<usize>,
    /// 0 takes the most likely token.
    pub temperature: f32,
    /// The sum of probabilities at which candidates end; 1 for all.
    pub top_p: f32,
    /// How far a candidate's logit may be from the largest, which is what min-p comes to.
    pub reach: f32,
    /// The random number of this draw.
    pub draw: u32,
    /// Positive logits of tokens seen before are divided by this, negative ones multiplied.
    pub penalty: f32,
    /// Most likely tokens to report, at most [`MOST_TOP_LOG_PROBABILITIES`](crate::generate::MOST_TOP_LOG_PROBABILITIES).
    pub alternatives: usize,
}

/// Where a run of choices begins.
#[derive(Clone, Copy, Debug)]
pub struct RunStart<'a> {
    /// The slot of its first token, after all that is cached.
    pub slot: usize,
    /// Tokens on which the penalty is already; those that are chosen join them.
    pub seen: &'a [u32],
}

/// A token that a backend chose, with natural log-probabilities of the model itself: before penalty,
/// temperature and truncation.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The token.
    pub id: u32,
    /// Its log-probability.
    pub log_probability: f32,
    /// Alternatives, most likely first.
    pub top: Vec<(u32, f32)>,
}

/// A place to compute: memory for tensors and the operations on them.
pub trait Backend: Sized {
    /// Activations, `[tokens, width]`.
    type Tensor;
    /// Weights of a linear layer or an embedding, `[rows, columns]`.
    type Matrix;
    /// Weights of a norm, or a bias.
    type Vector;
    /// Keys and values of one layer.
    type Cache;
    /// Cosines and sines by position.
    type Rope;
    /// Ids, cache slots and segments of the tokens in flight.
    type Cursor;

    /// Uploads a matrix, repacked as the backend likes it.
    fn matrix(&mut self, source: MatrixSource<'_>) -> Result<Self::Matrix>;
    /// Uploads a vector.
    fn vector(&mut self, values: &[f32]) -> Result<Self::Vector>;
    /// Makes room for `[tokens, width]` activations.
    fn tensor(&mut self, tokens: usize, width: usize) -> Result<Self::Tensor>;
    /// As [`Backend::tensor`], for tensors that one [`Backend::project`] fills.
    fn tensors<const COUNT: usize>(
        &mut self,
        tokens: usize,
        widths: [usize; COUNT],
    ) -> Result<[Self::Tensor; COUNT]>;
    /// Makes room for keys and values: `[capacity, heads, dimensions]` each.
    fn cache(&mut self, heads: usize, dimensions: usize, capacity: usize) -> Result<Self::Cache>;
    /// Prepares a rotary table.
    fn rope_table(&mut self, spec: RopeSpec) -> Result<Self::Rope>;
    /// Makes an empty cursor for at most `tokens` tokens.
    fn cursor(&mut self, tokens: usize) -> Result<Self::Cursor>;
    /// Points the cursor at `ids`, whose keys and values go to the cache slots from `slot` on;
    /// `segments` says which of them belong together, in order.
    fn seek(&mut self, cursor: &mut Self::Cursor, ids: &[u32], slot: usize, segments: &[Segment]);

    /// Goes on with the tokens from index `first` on: moves their rows of `x` to the front and points the
    /// cursor at them. The context of a segment that is cut ends where its own slots begin.
    fn keep_from(&mut self, cursor: &mut Self::Cursor, first: usize, x: &mut Self::Tensor);

    /// `out[t] = table[id(t)] * scale`.
    fn embed(
        &mut self,
        at: &Self::Cursor,
        table: &Self::Matrix,
        scale: f32,
        out: &mut Self::Tensor,
    );
    /// `x[t] += table[position(t)] + bias`.
    fn add_positions(
        &mut self,
        at: &Self::Cursor,
        table: &Self::Matrix,
        bias: &Self::Vector,
        x: &mut Self::Tensor,
    );
    /// `out = norm(x) * matrix^T + bias` for each output; all share `x`.
    fn project(
        &mut self,
        at: &Self::Cursor,
        x: &mut Self::Tensor,
        norm: Option<RmsNorm<'_, Self>>,
        outputs: &mut [(&Linear<Self>, &mut Self::Tensor)],
    );
    /// Transforms keys and stores them and the values at the tokens' slots.
    fn write_cache(
        &mut self,
        at: &Self::Cursor,
        transform: HeadTransform<'_, Self>,
        keys: &mut Self::Tensor,
        values: &Self::Tensor,
        cache: &mut Self::Cache,
    );
    /// Attention of the transformed `queries` over the cache: each sees its segment's context and its
    /// segment.
    fn attention(
        &mut self,
        at: &Self::Cursor,
        how: (AttentionSpec, HeadTransform<'_, Self>),
        queries: &mut Self::Tensor,
        cache: &Self::Cache,
        out: &mut Self::Tensor,
    );
    /// `sum += norm(x * matrix^T + bias)`.
    fn add_product(
        &mut self,
        at: &Self::Cursor,
        x: &Self::Tensor,
        linear: &Linear<Self>,
        norm: Option<RmsNorm<'_, Self>>,
        sum: &mut Self::Tensor,
    );
    /// `out = activation(norm(x) * gate^T) * (norm(x) * up^T + bias)`, or without a gate
    /// `activation(norm(x) * up^T + bias)`.
    fn expand(
        &mut self,
        at: &Self::Cursor,
        x: &mut Self::Tensor,
        norm: Option<RmsNorm<'_, Self>>,
        expansion: Expansion<'_, Self>,
        out: &mut Self::Tensor,
    );
    /// `x = layer_norm(x) * weight + bias`, by rows.
    fn layer_norm_in_place(
        &mut self,
        at: &Self::Cursor,
        x: &mut Self::Tensor,
        norm: (&Self::Vector, &Self::Vector),
        epsilon: f32,
    );
    /// `out[i] = norm(x[tokens[i]]) * matrix^T`, where `of` is `(x, tokens)`: logits of some of the tokens.
    fn logits(
        &mut self,
        at: &Self::Cursor,
        of: (&mut Self::Tensor, &[usize]),
        norm: RmsNorm<'_, Self>,
        matrix: &Self::Matrix,
        out: &mut Self::Tensor,
    );
    /// Pools the tokens of each segment of `x` into a row of `out`, `rows` in the segments' order; a
    /// segment with context goes on with what its row was pooled to before.
    fn pool(
        &mut self,
        at: &Self::Cursor,
        pooling: Pooling,
        x: &mut Self::Tensor,
        rows: &[usize],
        out: &mut Self::Tensor,
    );
    /// Waits for what was recorded and copies the first `into.len()` numbers of `x`.
    fn read(&mut self, x: &Self::Tensor, into: &mut [f32]) -> impl Future<Output = Result<()>>;
    /// Waits for all that was begun, so that what failed is known.
    fn ready(&mut self) -> impl Future<Output = Result<()>> {
        async { Ok(()) }
    }
    /// Bytes the backend holds.
    fn bytes(&self) -> usize;

    /// Tokens that may be chosen before the caller knows the first; 0 where the caller chooses each.
    fn choices_ahead(&self) -> usize {
        0
    }
    /// Begins to choose a token by row 0 of `logits`, which the penalty may change, and points the cursor at
    /// it: with `start` at its slot, else at the slot after the cursor's token.
    fn choose(
        &mut self,
        _cursor: &mut Self::Cursor,
        _start: Option<RunStart<'_>>,
        _logits: &Self::Tensor,
        _choice: Choice,
    ) {
    }
    /// Waits for the oldest choice that was not told yet.
    fn chosen(&mut self) -> impl Future<Output = Result<Chosen>> {
        async { Err(Error::new(ErrorKind::Backend, "this backend leaves choices to its caller")) }
    }
    /// Drops the choices that were not told yet.
    fn forget_choices(&mut self) {}
}
