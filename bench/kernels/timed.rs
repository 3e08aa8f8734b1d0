//! The CPU backend with a stopwatch: how long each operation took, and what it multiplied and read.

use frontdesk_engine::Result;
use frontdesk_engine::backend::{Backend, MatrixSource, RopeSpec};
use frontdesk_engine::cpu::Cpu;
use frontdesk_kernels::activation::Activation;
use frontdesk_kernels::attention::{AttentionSpec, Segment};
use frontdesk_kernels::pooling::Pooling;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Milliseconds of a monotonic clock.
pub(crate) type Clock = Rc<dyn Fn() -> f64>;

/// What one kind of operation cost in all.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) milliseconds: f64,
    /// Multiply-adds of matrix products.
    pub(crate) macs: f64,
    /// Bytes of the matrices read.
    pub(crate) bytes: f64,
}

/// Costs by operation, shared with whoever reads them.
pub(crate) type Costs = Rc<RefCell<BTreeMap<String, Cost>>>;

/// Forwards to [`Cpu`] and takes the time.
pub(crate) struct Timed {
    inner: Cpu,
    clock: Clock,
    costs: Costs,
}

impl Timed {
    pub(crate) fn new(inner: Cpu, clock: Clock) -> (Self, Costs) {
        let costs = Costs::default();
        (Self { inner, clock, costs: costs.clone() }, costs)
    }

    fn time<R>(&mut self, operation: &str, work: impl FnOnce(&mut Cpu) -> R) -> R {
        self.time_product(operation, Cost::default(), work)
    }

    fn time_product<R>(
        &mut self,
        operation: &str,
        cost: Cost,
        work: impl FnOnce(&mut Cpu) -> R,
    ) -> R {
        let started = (self.clock)();
        let result = work(&mut self.inner);
        let milliseconds = (self.clock)() - started;
        let mut costs = self.costs.borrow_mut();
        let total = costs.entry(operation.to_owned()).or_default();
        total.milliseconds += milliseconds;
        total.macs += cost.macs;
        total.bytes += cost.bytes;
        result
    }
}

type Tensor = <Cpu as Backend>::Tensor;
type Matrix = <Cpu as Backend>::Matrix;
type Vector = <Cpu as Backend>::Vector;
type Cache = <Cpu as Backend>::Cache;
type Rope = <Cpu as Backend>::Rope;
type Cursor = <Cpu as Backend>::Cursor;

/// The cost of products of `tokens` rows with matrices.
fn products<'a>(tokens: usize, matrices: impl Iterator<Item = &'a Matrix>) -> Cost {
    matrices.fold(Cost::default(), |cost, matrix| Cost {
        macs: cost.macs + (tokens * matrix.rows() * matrix.columns()) as f64,
        bytes: cost.bytes + matrix.bytes() as f64,
        ..cost
    })
}

impl Backend for Timed {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Vector = Vector;
    type Cache = Cache;
    type Rope = Rope;
    type Cursor = Cursor;

    fn matrix(&mut self, source: MatrixSource<'_>) -> Result<Matrix> {
        self.inner.matrix(source)
    }

    fn vector(&mut self, values: &[f32]) -> Result<Vector> {
        self.inner.vector(values)
    }

    fn tensor(&mut self, tokens: usize, width: usize) -> Result<Tensor> {
        self.inner.tensor(tokens, width)
    }

    fn cache(&mut self, heads: usize, dimensions: usize, capacity: usize) -> Result<Cache> {
        self.inner.cache(heads, dimensions, capacity)
    }

    fn rope_table(&mut self, spec: RopeSpec) -> Result<Rope> {
        self.inner.rope_table(spec)
    }

    fn cursor(&mut self, tokens: usize) -> Result<Cursor> {
        self.inner.cursor(tokens)
    }

    fn seek(&mut self, cursor: &mut Cursor, ids: &[u32], slot: usize, segments: &[Segment]) {
        self.inner.seek(cursor, ids, slot, segments);
    }

    fn keep_from(&mut self, cursor: &mut Cursor, first: usize, tensors: &mut [&mut Tensor]) {
        self.inner.keep_from(cursor, first, tensors);
    }

    fn embed(&mut self, at: &Cursor, table: &Matrix, scale: f32, out: &mut Tensor) {
        self.time("embedding", |cpu| cpu.embed(at, table, scale, out));
    }

    fn rms_norm(
        &mut self,
        at: &Cursor,
        x: &Tensor,
        weight: &Vector,
        epsilon: f32,
        out: &mut Tensor,
    ) {
        self.time("norms", |cpu| cpu.rms_norm(at, x, weight, epsilon, out));
    }

    fn rms_norm_in_place(&mut self, at: &Cursor, x: &mut Tensor, weight: &Vector, epsilon: f32) {
        self.time("norms", |cpu| cpu.rms_norm_in_place(at, x, weight, epsilon));
    }

    fn matmul(&mut self, at: &Cursor, x: &Tensor, outputs: &mut [(&Matrix, &mut Tensor)]) {
        let cost = products(at.tokens(), outputs.iter().map(|(matrix, _)| *matrix));
        let rows: Vec<String> =
            outputs.iter().map(|(matrix, _)| matrix.rows().to_string()).collect();
        let columns = outputs.first().map_or(0, |(matrix, _)| matrix.columns());
        let name = format!("products, {columns} to {}", rows.join(" + "));
        self.time_product(&name, cost, |cpu| cpu.matmul(at, x, outputs));
    }

    fn rope(&mut self, at: &Cursor, table: &Rope, heads: usize, x: &mut Tensor) {
        self.time("rotation", |cpu| cpu.rope(at, table, heads, x));
    }

    fn write_cache(&mut self, at: &Cursor, keys: &Tensor, values: &Tensor, cache: &mut Cache) {
        self.time("KV cache write", |cpu| cpu.write_cache(at, keys, values, cache));
    }

    fn attention(
        &mut self,
        at: &Cursor,
        spec: AttentionSpec,
        queries: &Tensor,
        cache: &Cache,
        out: &mut Tensor,
    ) {
        self.time("attention", |cpu| cpu.attention(at, spec, queries, cache, out));
    }

    fn gate(&mut self, at: &Cursor, activation: Activation, gate: &mut Tensor, up: &Tensor) {
        self.time("activation", |cpu| cpu.gate(at, activation, gate, up));
    }

    fn add_positions(&mut self, at: &Cursor, table: &Matrix, x: &mut Tensor) {
        self.time("embedding", |cpu| cpu.add_positions(at, table, x));
    }

    fn layer_norm_in_place(
        &mut self,
        at: &Cursor,
        x: &mut Tensor,
        norm: (&Vector, &Vector),
        epsilon: f32,
    ) {
        self.time("norms", |cpu| cpu.layer_norm_in_place(at, x, norm, epsilon));
    }

    fn activate(&mut self, at: &Cursor, activation: Activation, x: &mut Tensor) {
        self.time("activation", |cpu| cpu.activate(at, activation, x));
    }

    fn add_bias(&mut self, at: &Cursor, x: &mut Tensor, bias: &Vector) {
        self.time("additions", |cpu| cpu.add_bias(at, x, bias));
    }

    fn add(&mut self, at: &Cursor, x: &mut Tensor, y: &Tensor) {
        self.time("additions", |cpu| cpu.add(at, x, y));
    }

    fn logits(&mut self, x: &Tensor, tokens: &[usize], matrix: &Matrix, out: &mut Tensor) {
        let cost = products(tokens.len(), std::iter::once(matrix));
        self.time_product("output layer", cost, |cpu| cpu.logits(x, tokens, matrix, out));
    }

    fn pool(
        &mut self,
        at: &Cursor,
        pooling: Pooling,
        x: &Tensor,
        rows: &[usize],
        out: &mut Tensor,
    ) {
        self.time("pooling", |cpu| cpu.pool(at, pooling, x, rows, out));
    }

    async fn read(&mut self, x: &Tensor, into: &mut [f32]) -> Result<()> {
        self.inner.read(x, into).await
    }

    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}
