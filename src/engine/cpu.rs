//! The CPU backend: tensors are vectors in memory and every operation runs at once.

use crate::backend::{Backend, MatrixSource, RopeSpec};
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::activation::{Activation, activate, gate};
use frontdesk_kernels::attention::{AttentionSpec, KvCache, Segment, attention};
use frontdesk_kernels::layer_norm::layer_norm_in_place;
use frontdesk_kernels::matmul::Workspace;
use frontdesk_kernels::matrix::{Matrix, PackError, Precision};
use frontdesk_kernels::pooling::{Pooling, pool};
use frontdesk_kernels::rms_norm::{rms_norm, rms_norm_in_place};
use frontdesk_kernels::rope::RopeTable;

/// Computes on the calling thread.
#[derive(Default)]
pub struct Cpu {
    precision: Precision,
    workspace: Workspace,
    /// Scratch of attention.
    scores: Vec<f32>,
    /// Rows picked from a tensor.
    picked: Vec<f32>,
    bytes: usize,
}

/// Activations, `[tokens, width]`.
pub struct CpuTensor {
    values: Vec<f32>,
    width: usize,
}

/// Ids of the tokens in flight, the cache slot of the first, and what belongs together.
pub struct CpuCursor {
    ids: Vec<u32>,
    slot: usize,
    segments: Vec<Segment>,
}

impl Cpu {
    /// A backend whose matrix products are computed in `precision`.
    pub fn new(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }

    /// Whether the machine computes the kernels' dot products right; where not, do not use it.
    pub fn is_exact() -> bool {
        frontdesk_kernels::dot_is_exact()
    }

    fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
    }
}

impl CpuTensor {
    fn rows(&self, at: &CpuCursor) -> &[f32] {
        &self.values[..at.ids.len() * self.width]
    }

    fn rows_mut(&mut self, at: &CpuCursor) -> &mut [f32] {
        &mut self.values[..at.ids.len() * self.width]
    }
}

fn out_of_memory(what: &str) -> Error {
    Error::new(ErrorKind::OutOfMemory, format!("not enough memory for {what}"))
}

impl Backend for Cpu {
    type Tensor = CpuTensor;
    type Matrix = Matrix;
    type Vector = Vec<f32>;
    type Cache = KvCache;
    type Rope = RopeTable;
    type Cursor = CpuCursor;

    fn matrix(&mut self, source: MatrixSource<'_>) -> Result<Matrix> {
        let MatrixSource { tensor_type, raw, shape, source_row } = source;
        let matrix =
            Matrix::pack(tensor_type, raw, shape, self.precision, source_row).map_err(|error| {
                match error {
                    PackError::Memory(error) => out_of_memory("a weight matrix").with_source(error),
                    error => Error::invalid_model(error.to_string()),
                }
            })?;
        self.count(matrix.bytes());
        Ok(matrix)
    }

    fn vector(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        self.count(size_of_val(values));
        Ok(values.to_vec())
    }

    fn tensor(&mut self, tokens: usize, width: usize) -> Result<CpuTensor> {
        let mut values = Vec::new();
        values
            .try_reserve_exact(tokens.saturating_mul(width))
            .map_err(|error| out_of_memory("activations").with_source(error))?;
        values.resize(tokens * width, 0.0);
        self.count(values.len() * 4);
        Ok(CpuTensor { values, width })
    }

    fn cache(&mut self, heads: usize, dimensions: usize, capacity: usize) -> Result<KvCache> {
        let cache = KvCache::new(heads, dimensions, capacity)
            .map_err(|error| out_of_memory("the KV cache").with_source(error))?;
        self.count(cache.bytes());
        Ok(cache)
    }

    fn rope_table(&mut self, spec: RopeSpec) -> Result<RopeTable> {
        let RopeSpec { positions, dimensions, base, scale } = spec;
        let table = RopeTable::new(positions, dimensions, base, scale)
            .map_err(|error| out_of_memory("the rotary table").with_source(error))?;
        self.count(positions * dimensions * 4);
        Ok(table)
    }

    fn cursor(&mut self, tokens: usize) -> Result<CpuCursor> {
        Ok(CpuCursor { ids: Vec::with_capacity(tokens), slot: 0, segments: Vec::new() })
    }

    fn seek(&mut self, cursor: &mut CpuCursor, ids: &[u32], slot: usize, segments: &[Segment]) {
        cursor.ids.clear();
        cursor.ids.extend_from_slice(ids);
        cursor.slot = slot;
        cursor.segments.clear();
        cursor.segments.extend_from_slice(segments);
    }

    fn embed(&mut self, at: &CpuCursor, table: &Matrix, scale: f32, out: &mut CpuTensor) {
        for (id, row) in at.ids.iter().zip(out.values.chunks_exact_mut(out.width)) {
            table.decode_row(*id as usize, row);
            if scale != 1.0 {
                row.iter_mut().for_each(|value| *value *= scale);
            }
        }
    }

    fn rms_norm(
        &mut self,
        at: &CpuCursor,
        x: &CpuTensor,
        weight: &Vec<f32>,
        epsilon: f32,
        out: &mut CpuTensor,
    ) {
        rms_norm(x.rows(at), weight, epsilon, out.rows_mut(at));
    }

    fn rms_norm_in_place(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        weight: &Vec<f32>,
        epsilon: f32,
    ) {
        rms_norm_in_place(x.rows_mut(at), weight, epsilon);
    }

    fn matmul(&mut self, at: &CpuCursor, x: &CpuTensor, outputs: &mut [(&Matrix, &mut CpuTensor)]) {
        let tokens = at.ids.len();
        let rows = x.rows(at);
        if outputs.iter().any(|(matrix, _)| matrix.is_quantised()) {
            self.workspace.quantise(rows, tokens, x.width);
        }
        for (matrix, out) in outputs {
            self.workspace.product(rows, tokens, matrix, out.rows_mut(at));
        }
    }

    fn rope(&mut self, at: &CpuCursor, table: &RopeTable, heads: usize, x: &mut CpuTensor) {
        let mut rest = x.rows_mut(at);
        let width = rest.len() / at.ids.len().max(1);
        for segment in &at.segments {
            let (part, after) = rest.split_at_mut(segment.tokens * width);
            table.apply(part, heads, segment.context.len());
            rest = after;
        }
    }

    fn write_cache(
        &mut self,
        at: &CpuCursor,
        keys: &CpuTensor,
        values: &CpuTensor,
        cache: &mut KvCache,
    ) {
        cache.write(keys.rows(at), values.rows(at), at.slot);
    }

    fn attention(
        &mut self,
        at: &CpuCursor,
        spec: AttentionSpec,
        queries: &CpuTensor,
        cache: &KvCache,
        out: &mut CpuTensor,
    ) {
        let (queries, out) = (queries.rows(at), out.rows_mut(at));
        attention(spec, cache, queries, at.slot, &at.segments, &mut self.scores, out);
    }

    fn gate(
        &mut self,
        at: &CpuCursor,
        activation: Activation,
        values: &mut CpuTensor,
        up: &CpuTensor,
    ) {
        gate(activation, values.rows_mut(at), up.rows(at));
    }

    fn add_positions(&mut self, at: &CpuCursor, table: &Matrix, x: &mut CpuTensor) {
        let positions = at.segments.iter().flat_map(|segment| {
            let before = segment.context.len();
            before..before + segment.tokens
        });
        let mut row = vec![0.0; x.width];
        for (position, x) in positions.zip(x.values.chunks_exact_mut(x.width)) {
            table.decode_row(position, &mut row);
            x.iter_mut().zip(&row).for_each(|(x, y)| *x += y);
        }
    }

    fn layer_norm_in_place(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        (weight, bias): (&Vec<f32>, &Vec<f32>),
        epsilon: f32,
    ) {
        layer_norm_in_place(x.rows_mut(at), weight, bias, epsilon);
    }

    fn activate(&mut self, at: &CpuCursor, activation: Activation, x: &mut CpuTensor) {
        activate(activation, x.rows_mut(at));
    }

    fn add_bias(&mut self, at: &CpuCursor, x: &mut CpuTensor, bias: &Vec<f32>) {
        for row in x.rows_mut(at).chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        }
    }

    fn add(&mut self, at: &CpuCursor, x: &mut CpuTensor, y: &CpuTensor) {
        for (x, y) in x.rows_mut(at).iter_mut().zip(y.rows(at)) {
            *x += y;
        }
    }

    fn logits(&mut self, x: &CpuTensor, tokens: &[usize], matrix: &Matrix, out: &mut CpuTensor) {
        self.picked.clear();
        for token in tokens {
            self.picked.extend_from_slice(&x.values[token * x.width..][..x.width]);
        }
        if matrix.is_quantised() {
            self.workspace.quantise(&self.picked, tokens.len(), x.width);
        }
        self.workspace.product(&self.picked, tokens.len(), matrix, &mut out.values);
    }

    fn pool(
        &mut self,
        at: &CpuCursor,
        pooling: Pooling,
        x: &CpuTensor,
        rows: &[usize],
        out: &mut CpuTensor,
    ) {
        let mut rest = x.rows(at);
        for (segment, row) in at.segments.iter().zip(rows) {
            let (part, after) = rest.split_at(segment.tokens * x.width);
            let into = &mut out.values[row * out.width..][..out.width];
            pool(pooling, part, segment.context.len(), into);
            rest = after;
        }
    }

    async fn read(&mut self, x: &CpuTensor, into: &mut [f32]) -> Result<()> {
        into.copy_from_slice(&x.values[..into.len()]);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
