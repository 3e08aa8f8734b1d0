//! The CPU backend: tensors are vectors in memory and every operation runs at once.

use crate::backend::{Backend, Expansion, HeadTransform, Linear, MatrixSource, RmsNorm, RopeSpec};
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::activation::{activate, gate};
use frontdesk_kernels::attention::{AttentionSpec, KvCache, Segment, attention};
use frontdesk_kernels::layer_norm::layer_norm_in_place;
use frontdesk_kernels::matmul::{Output, Workspace};
pub use frontdesk_kernels::matrix::Precision;
use frontdesk_kernels::matrix::{Matrix, PackError};
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
    /// Rows after a norm.
    normed: Vec<f32>,
    /// What is added to a tensor, or multiplied with it.
    update: Vec<f32>,
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

    /// `out = norm(x) * matrix^T` for each output.
    fn products<'a>(
        &mut self,
        (x, tokens): (&[f32], usize),
        norm: Option<RmsNorm<'_, Self>>,
        outputs: &mut [Output<'a>],
    ) {
        let mut normed = std::mem::take(&mut self.normed);
        let x = match norm {
            None => x,
            Some((weight, epsilon)) => {
                let width = weight.len();
                let rows = room(&mut normed, x.len());
                self.by_rows(rows, width, |first, out| {
                    rms_norm(&x[first * width..][..out.len()], weight, epsilon, out);
                });
                &*rows
            }
        };
        self.workspace.products(&self.pool, (x, tokens), outputs);
        self.normed = normed;
    }

    fn add_bias(&self, linear: &Linear<Self>, x: &mut [f32]) {
        if let Some(bias) = &linear.bias {
            self.by_rows(x, bias.len(), |_, x| {
                for row in x.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
                }
            });
        }
    }

    fn transform(
        &self,
        at: &CpuCursor,
        transform: HeadTransform<'_, Self>,
        x: &mut CpuTensor,
        heads: usize,
    ) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |first, x| {
            if let Some((weight, epsilon)) = transform.norm {
                rms_norm_in_place(x, weight, epsilon);
            }
            if let Some(table) = transform.rope {
                for (row, position) in x.chunks_exact_mut(width).zip(&at.positions[first..]) {
                    table.apply(row, heads, *position);
                }
            }
        });
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

/// The first `length` numbers of a buffer that grows to hold them.
fn room(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
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

    fn tensors<const COUNT: usize>(
        &mut self,
        tokens: usize,
        widths: [usize; COUNT],
    ) -> Result<[CpuTensor; COUNT]> {
        let tensors: Vec<_> =
            widths.iter().map(|width| self.tensor(tokens, *width)).collect::<Result<_>>()?;
        // As many as there are widths.
        tensors.try_into().map_err(|_| out_of_memory("activations"))
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

    fn keep_from(&mut self, cursor: &mut CpuCursor, first: usize, x: &mut CpuTensor) {
        x.values.copy_within(first * x.width..cursor.ids.len() * x.width, 0);
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

    fn add_positions(
        &mut self,
        at: &CpuCursor,
        table: &Matrix,
        bias: &Vec<f32>,
        x: &mut CpuTensor,
    ) {
        let width = x.width;
        self.by_rows(x.rows_mut(at), width, |first, x| {
            let mut row = vec![0.0; width];
            for (x, position) in x.chunks_exact_mut(width).zip(&at.positions[first..]) {
                table.decode_row(*position, &mut row);
                x.iter_mut().zip(&row).zip(bias).for_each(|((x, y), bias)| *x += bias + y);
            }
        });
    }

    fn project(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        norm: Option<RmsNorm<'_, Self>>,
        outputs: &mut [(&Linear<Self>, &mut CpuTensor)],
    ) {
        let tokens = at.ids.len();
        let mut products: Vec<_> =
            outputs.iter_mut().map(|(linear, out)| (&linear.matrix, out.rows_mut(at))).collect();
        self.products((x.rows(at), tokens), norm, &mut products);
        for (linear, out) in outputs {
            self.add_bias(linear, out.rows_mut(at));
        }
    }

    fn write_cache(
        &mut self,
        at: &CpuCursor,
        transform: HeadTransform<'_, Self>,
        keys: &mut CpuTensor,
        values: &CpuTensor,
        cache: &mut KvCache,
    ) {
        self.transform(at, transform, keys, cache.heads());
        cache.write(keys.rows(at), values.rows(at), at.slot);
    }

    fn attention(
        &mut self,
        at: &CpuCursor,
        (spec, transform): (AttentionSpec, HeadTransform<'_, Self>),
        queries: &mut CpuTensor,
        cache: &KvCache,
        out: &mut CpuTensor,
    ) {
        self.transform(at, transform, queries, spec.heads);
        let (queries, out) = (queries.rows(at), out.rows_mut(at));
        attention(&self.pool, spec, cache, queries, at.slot, &at.segments, out);
    }

    fn add_product(
        &mut self,
        at: &CpuCursor,
        x: &CpuTensor,
        linear: &Linear<Self>,
        norm: Option<RmsNorm<'_, Self>>,
        sum: &mut CpuTensor,
    ) {
        let width = sum.width;
        let mut update = std::mem::take(&mut self.update);
        let rows = room(&mut update, at.ids.len() * width);
        self.products((x.rows(at), at.ids.len()), None, &mut [(&linear.matrix, rows)]);
        self.add_bias(linear, rows);
        if let Some((weight, epsilon)) = norm {
            self.by_rows(rows, width, |_, rows| rms_norm_in_place(rows, weight, epsilon));
        }
        self.by_rows(sum.rows_mut(at), width, |first, sum| {
            sum.iter_mut().zip(&rows[first * width..]).for_each(|(x, y)| *x += y);
        });
        self.update = update;
    }

    fn expand(
        &mut self,
        at: &CpuCursor,
        x: &mut CpuTensor,
        norm: Option<RmsNorm<'_, Self>>,
        expansion: Expansion<'_, Self>,
        out: &mut CpuTensor,
    ) {
        let Expansion { activation, gate: gate_matrix, up } = expansion;
        let (x, width) = ((x.rows(at), at.ids.len()), out.width);
        let out = out.rows_mut(at);
        let Some(gate_matrix) = gate_matrix else {
            self.products(x, norm, &mut [(&up.matrix, &mut *out)]);
            self.add_bias(up, out);
            return self.by_rows(out, width, |_, out| activate(activation, out));
        };
        let mut wide = std::mem::take(&mut self.update);
        let rows = room(&mut wide, out.len());
        self.products(x, norm, &mut [(gate_matrix, &mut *out), (&up.matrix, &mut *rows)]);
        self.add_bias(up, rows);
        self.by_rows(out, width, |first, out| {
            gate(activation, out, &rows[first * width..][..out.len()]);
        });
        self.update = wide;
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

    fn logits(
        &mut self,
        _at: &CpuCursor,
        (x, tokens): (&mut CpuTensor, &[usize]),
        norm: RmsNorm<'_, Self>,
        matrix: &Matrix,
        out: &mut CpuTensor,
    ) {
        let mut picked = std::mem::take(&mut self.picked);
        picked.clear();
        for token in tokens {
            picked.extend_from_slice(&x.values[token * x.width..][..x.width]);
        }
        let out = &mut out.values[..tokens.len() * matrix.rows()];
        self.products((&picked, tokens.len()), Some(norm), &mut [(matrix, out)]);
        self.picked = picked;
    }

    fn pool(
        &mut self,
        at: &CpuCursor,
        pooling: Pooling,
        x: &mut CpuTensor,
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
        let scratch = [&self.picked, &self.normed, &self.update];
        self.bytes + scratch.map(|values| 4 * values.capacity()).iter().sum::<usize>()
    }
}
