//! The CPU backend: tensors are vectors in memory and every operation runs at once.

use crate::backend::{Backend, MatrixSource, RopeSpec};
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::activation::{Activation, activate, gate};
use frontdesk_kernels::attention::{AttentionSpec, KvCache, Segment, attention};
use frontdesk_kernels::layer_norm::layer_norm_in_place;
use frontdesk_kernels::matmul::Workspace;
use frontdesk_kernels::matrix::{Matrix, PackError, Precision};
use frontdesk_kernels::pool::Pool;
use frontdesk_kernels::pooling::{Pooling, pool};
use frontdesk_kernels::rms_norm::{rms_norm, rms_norm_in_place};
use frontdesk_kernels::rope::RopeTable;

/// Numbers of an element-wise operation that are worth sharing among threads.
const LEAST_NUMBERS: usize = 1 << 12;

/// Bytes of a matrix that are read at a time.
const PART_BYTES: usize = 1 << 20;

/// Computes on the calling thread and those of its pool.
#[derive(Default)]
pub struct Cpu {
    pool: Pool,
    precision: Precision,
    workspace: Workspace,
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
    /// Place of each token in its sequence.
    positions: Vec<usize>,
    slot: usize,
    segments: Vec<Segment>,
}

impl CpuCursor {
    /// Tokens in flight.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }
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

    /// The same backend, working on the threads of `pool`.
    pub fn with_pool(self, pool: Pool) -> Self {
        Self { pool, ..self }
    }

    /// Calls `work` with runs of rows of `x`, `[rows, width]`, and the index of the first of each.
    fn by_rows(&self, x: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        let rows = x.len() / width;
        let run = rows.div_ceil(self.pool.parts(rows, LEAST_NUMBERS / width)).max(1);
        self.pool.each_chunk(x, run * width, |index, rows| work(index * run, rows));
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

fn pack_error(error: PackError) -> Error {
    match error {
        PackError::Memory(error) => out_of_memory("a weight matrix").with_source(error),
        error => Error::invalid_model(error.to_string()),
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
        let MatrixSource { tensor_type, shape, source_row, unit, rows } = source;
        let mut matrix = Matrix::zeros(tensor_type, shape, self.precision).map_err(pack_error)?;
        let step = (PART_BYTES / matrix.row_bytes()).next_multiple_of(unit).max(unit);
        for first in (0..shape[0]).step_by(step) {
            let raw = rows.read(first..shape[0].min(first + step))?;
            matrix.fill(&self.pool, first, raw, source_row).map_err(pack_error)?;
        }
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
        let (ids, positions) = (Vec::with_capacity(tokens), Vec::with_capacity(tokens));
        Ok(CpuCursor { ids, positions, slot: 0, segments: Vec::new() })
    }

    fn seek(&mut self, cursor: &mut CpuCursor, ids: &[u32], slot: usize, segments: &[Segment]) {
        cursor.ids.clear();
        cursor.ids.extend_from_slice(ids);
        cursor.positions.clear();
        for Segment { tokens, context } in segments {
            cursor.positions.extend(context.len()..context.len() + tokens);
        }
        cursor.slot = slot;
        cursor.segments.clear();
        cursor.segments.extend_from_slice(segments);
    }

    fn keep_from(&mut self, cursor: &mut CpuCursor, first: usize, tensors: &mut [&mut CpuTensor]) {
        for tensor in tensors {
            let width = tensor.width;
            tensor.values.copy_within(first * width..cursor.ids.len() * width, 0);
        }
        cursor.ids.drain(..first);
        cursor.positions.drain(..first);
        cursor.slot += first;
        let mut before = first;
        cursor.segments.retain_mut(|segment| {
            let dropped = before.min(segment.tokens);
            before -= dropped;
            segment.tokens -= dropped;
            if dropped > 0 {
                segment.context.end += dropped;
            }
            segment.tokens > 0
        });
    }

    fn embed(&mut self, at: &CpuCursor, table: &Matrix, scale: f32, out: &mut CpuTensor) {
        let width = out.width;
        self.by_rows(out.rows_mut(at), width, |first, rows| {
            for (id, row) in at.ids[first..].iter().zip(rows.chunks_exact_mut(width)) {
                table.decode_row(*id as usize, row);
                if scale != 1.0 {
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
        });
    }

    fn rms_norm(
        &mut self,
        at: &CpuCursor,
        x: &CpuTensor,
        weight: &Vec<f32>,
        epsilon: f32,
        out: &mut CpuTensor,
    ) {
        let (x, width) = (x.rows(at), out.width);
        self.by_rows(out.rows_mut(at), width, |first, out| {
            rms_norm(&x[first * width..][..out.len()], weight, epsilon, out);
        });
    }

    fn rms_norm_in_place(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        weight: &Vec<f32>,
        epsilon: f32,
    ) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |_, x| rms_norm_in_place(x, weight, epsilon));
    }

    fn matmul(&mut self, at: &CpuCursor, x: &CpuTensor, outputs: &mut [(&Matrix, &mut CpuTensor)]) {
        let mut outputs: Vec<_> =
            outputs.iter_mut().map(|(matrix, out)| (*matrix, out.rows_mut(at))).collect();
        let rows = (x.rows(at), at.ids.len());
        self.workspace.products(&self.pool, rows, &mut outputs);
    }

    fn rope(&mut self, at: &CpuCursor, table: &RopeTable, heads: usize, x: &mut CpuTensor) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |first, x| {
            for (row, position) in x.chunks_exact_mut(width).zip(&at.positions[first..]) {
                table.apply(row, heads, *position);
            }
        });
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
        attention(&self.pool, spec, cache, queries, at.slot, &at.segments, out);
    }

    fn gate(
        &mut self,
        at: &CpuCursor,
        activation: Activation,
        values: &mut CpuTensor,
        up: &CpuTensor,
    ) {
        let (up, width) = (up.rows(at), values.width);
        self.by_rows(values.rows_mut(at), width, |first, values| {
            gate(activation, values, &up[first * width..][..values.len()]);
        });
    }

    fn add_positions(&mut self, at: &CpuCursor, table: &Matrix, x: &mut CpuTensor) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |first, x| {
            let mut row = vec![0.0; width];
            for (x, position) in x.chunks_exact_mut(width).zip(&at.positions[first..]) {
                table.decode_row(*position, &mut row);
                x.iter_mut().zip(&row).for_each(|(x, y)| *x += y);
            }
        });
    }

    fn layer_norm_in_place(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        (weight, bias): (&Vec<f32>, &Vec<f32>),
        epsilon: f32,
    ) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |_, x| layer_norm_in_place(x, weight, bias, epsilon));
    }

    fn activate(&mut self, at: &CpuCursor, activation: Activation, x: &mut CpuTensor) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |_, x| activate(activation, x));
    }

    fn add_bias(&mut self, at: &CpuCursor, x: &mut CpuTensor, bias: &Vec<f32>) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |_, x| {
            for row in x.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
            }
        });
    }

    fn add(&mut self, at: &CpuCursor, x: &mut CpuTensor, y: &CpuTensor) {
        let (y, width) = (y.rows(at), x.width);
        self.by_rows(x.rows_mut(at), width, |first, x| {
            x.iter_mut().zip(&y[first * width..]).for_each(|(x, y)| *x += y);
        });
    }

    fn logits(&mut self, x: &CpuTensor, tokens: &[usize], matrix: &Matrix, out: &mut CpuTensor) {
        self.picked.clear();
        for token in tokens {
            self.picked.extend_from_slice(&x.values[token * x.width..][..x.width]);
        }
        let out = &mut out.values[..tokens.len() * matrix.rows()];
        let rows = (&self.picked[..], tokens.len());
        self.workspace.products(&self.pool, rows, &mut [(matrix, out)]);
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
