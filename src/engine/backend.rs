//! What a compute backend offers: the few operations that the forward passes name.
//!
//! A forward pass records operations over tensors that live on the backend; only [`Backend::read`]
//! waits. Ids and places of the tokens in flight live in a [`Backend::Cursor`], so that a device
//! can advance them itself and run ahead of the caller. A pass may carry several sequences, one
//! [`Segment`] each. Activations are `[tokens, width]`, single
//! precision; how weights are stored is the backend's affair.

use crate::Result;
use frontdesk_kernels::activation::Activation;
use frontdesk_kernels::attention::AttentionSpec;
pub use frontdesk_kernels::attention::Segment;
use frontdesk_kernels::pooling::Pooling;
use frontdesk_kernels::quant::TensorType;
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

/// A place to compute: memory for tensors and the operations on them.
pub trait Backend {
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
    /// Makes room for keys and values: `[capacity, heads, dimensions]` each.
    fn cache(&mut self, heads: usize, dimensions: usize, capacity: usize) -> Result<Self::Cache>;
    /// Prepares a rotary table.
    fn rope_table(&mut self, spec: RopeSpec) -> Result<Self::Rope>;
    /// Makes an empty cursor for at most `tokens` tokens.
    fn cursor(&mut self, tokens: usize) -> Result<Self::Cursor>;
    /// Points the cursor at `ids`, whose keys and values go to the cache slots from `slot` on;
    /// `segments` says which of them belong together, in order.
    fn seek(&mut self, cursor: &mut Self::Cursor, ids: &[u32], slot: usize, segments: &[Segment]);

    /// Goes on with the tokens from index `first` on: moves their rows to the front and points the cursor
    /// at them. The context of a segment that is cut ends where its own slots begin.
    fn keep_from(
        &mut self,
        cursor: &mut Self::Cursor,
        first: usize,
        tensors: &mut [&mut Self::Tensor],
    );

    /// `out[t] = table[id(t)] * scale`.
    fn embed(
        &mut self,
        at: &Self::Cursor,
        table: &Self::Matrix,
        scale: f32,
        out: &mut Self::Tensor,
    );
    /// `out = rms_norm(x) * weight`, by rows of the weight's length.
    fn rms_norm(
        &mut self,
        at: &Self::Cursor,
        x: &Self::Tensor,
        weight: &Self::Vector,
        epsilon: f32,
        out: &mut Self::Tensor,
    );
    /// As [`Backend::rms_norm`], in place; with a weight as long as a head, head by head.
    fn rms_norm_in_place(
        &mut self,
        at: &Self::Cursor,
        x: &mut Self::Tensor,
        weight: &Self::Vector,
        epsilon: f32,
    );
    /// `out = x * matrix^T` for each pair; all share `x`.
    fn matmul(
        &mut self,
        at: &Self::Cursor,
        x: &Self::Tensor,
        outputs: &mut [(&Self::Matrix, &mut Self::Tensor)],
    );
    /// Rotates each of `heads` heads of `x` by its token's position.
    fn rope(&mut self, at: &Self::Cursor, table: &Self::Rope, heads: usize, x: &mut Self::Tensor);
    /// Stores keys and values at the tokens' slots.
    fn write_cache(
        &mut self,
        at: &Self::Cursor,
        keys: &Self::Tensor,
        values: &Self::Tensor,
        cache: &mut Self::Cache,
    );
    /// Attention of `queries` over the cache: each sees its segment's context and its segment.
    fn attention(
        &mut self,
        at: &Self::Cursor,
        spec: AttentionSpec,
        queries: &Self::Tensor,
        cache: &Self::Cache,
        out: &mut Self::Tensor,
    );
    /// `gate = activation(gate) * up`.
    fn gate(
        &mut self,
        at: &Self::Cursor,
        activation: Activation,
        gate: &mut Self::Tensor,
        up: &Self::Tensor,
    );
    /// `x[t] += table[position(t)]`.
    fn add_positions(&mut self, at: &Self::Cursor, table: &Self::Matrix, x: &mut Self::Tensor);
    /// `x = layer_norm(x) * weight + bias`, by rows.
    fn layer_norm_in_place(
        &mut self,
        at: &Self::Cursor,
        x: &mut Self::Tensor,
        norm: (&Self::Vector, &Self::Vector),
        epsilon: f32,
    );
    /// `x = activation(x)`.
    fn activate(&mut self, at: &Self::Cursor, activation: Activation, x: &mut Self::Tensor);
    /// `x[t] += bias`.
    fn add_bias(&mut self, at: &Self::Cursor, x: &mut Self::Tensor, bias: &Self::Vector);
    /// `x += y`.
    fn add(&mut self, at: &Self::Cursor, x: &mut Self::Tensor, y: &Self::Tensor);
    /// `out[i] = matrix * x[tokens[i]]`: logits of some of the tokens.
    fn logits(
        &mut self,
        x: &Self::Tensor,
        tokens: &[usize],
        matrix: &Self::Matrix,
        out: &mut Self::Tensor,
    );
    /// Pools the tokens of each segment of `x` into a row of `out`, `rows` in the segments' order; a
    /// segment with context goes on with what its row was pooled to before.
    fn pool(
        &mut self,
        at: &Self::Cursor,
        pooling: Pooling,
        x: &Self::Tensor,
        rows: &[usize],
        out: &mut Self::Tensor,
    );
    /// Waits for what was recorded and copies the first `into.len()` numbers of `x`.
    fn read(&mut self, x: &Self::Tensor, into: &mut [f32]) -> impl Future<Output = Result<()>>;
    /// Bytes the backend holds.
    fn bytes(&self) -> usize;
}
