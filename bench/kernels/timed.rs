//! The CPU backend with a stopwatch: how long each operation took, and what it multiplied and read.

use frontdesk_engine::Result;
use frontdesk_engine::backend::{
    AttentionSpec, Backend, Expansion, HeadTransform, Linear, MatrixSource, Pooling, RmsNorm,
    RopeSpec, Segment,
};
use frontdesk_engine::cpu::Cpu;
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

/// Name and cost of products of `tokens` rows with matrices that have one input; norms, biases and activations
/// are part of their time.
fn products<'a>(tokens: usize, matrices: impl Iterator<Item = &'a Matrix>) -> (String, Cost) {
    let (mut columns, mut rows, mut cost) = (0, Vec::new(), Cost::default());
    for matrix in matrices {
        columns = matrix.columns();
        rows.push(matrix.rows().to_string());
        cost.macs += (tokens * matrix.rows() * matrix.columns()) as f64;
        cost.bytes += matrix.bytes() as f64;
    }
    (format!("products, {columns} to {}", rows.join(" + ")), cost)
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

    fn tensors<const COUNT: usize>(
        &mut self,
        tokens: usize,
        widths: [usize; COUNT],
    ) -> Result<[Tensor; COUNT]> {
        self.inner.tensors(tokens, widths)
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

    fn keep_from(&mut self, cursor: &mut Cursor, first: usize, x: &mut Tensor) {
        self.inner.keep_from(cursor, first, x);
    }

    fn embed(&mut self, at: &Cursor, table: &Matrix, scale: f32, out: &mut Tensor) {
        self.time("embedding", |cpu| cpu.embed(at, table, scale, out));
    }

    fn add_positions(&mut self, at: &Cursor, table: &Matrix, bias: &Vector, x: &mut Tensor) {
        self.time("embedding", |cpu| cpu.add_positions(at, table, bias, x));
    }

    fn project(
        &mut self,
        at: &Cursor,
        x: &mut Tensor,
        norm: Option<RmsNorm<'_, Cpu>>,
        outputs: &mut [(&Linear<Self>, &mut Tensor)],
    ) {
        let (name, cost) = products(at.tokens(), outputs.iter().map(|(linear, _)| &linear.matrix));
        self.time_product(&name, cost, |cpu| cpu.project(at, x, norm, outputs));
    }

    fn write_cache(
        &mut self,
        at: &Cursor,
        transform: HeadTransform<'_, Self>,
        keys: &mut Tensor,
        values: &Tensor,
        cache: &mut Cache,
    ) {
        let HeadTransform { norm, rope } = transform;
        let transform = HeadTransform { norm, rope };
        self.time("KV cache write", |cpu| cpu.write_cache(at, transform, keys, values, cache));
    }

    fn attention(
        &mut self,
        at: &Cursor,
        (spec, HeadTransform { norm, rope }): (AttentionSpec, HeadTransform<'_, Self>),
        queries: &mut Tensor,
        cache: &Cache,
        out: &mut Tensor,
    ) {
        let how = (spec, HeadTransform { norm, rope });
        self.time("attention", |cpu| cpu.attention(at, how, queries, cache, out));
    }

    fn add_product(
        &mut self,
        at: &Cursor,
        x: &Tensor,
        linear: &Linear<Self>,
        norm: Option<RmsNorm<'_, Self>>,
        sum: &mut Tensor,
    ) {
        let (name, cost) = products(at.tokens(), std::iter::once(&linear.matrix));
        self.time_product(&name, cost, |cpu| cpu.add_product(at, x, linear, norm, sum));
    }

    fn expand(
        &mut self,
        at: &Cursor,
        x: &mut Tensor,
        norm: Option<RmsNorm<'_, Self>>,
        expansion: Expansion<'_, Self>,
        out: &mut Tensor,
    ) {
        let Expansion { activation, gate, up } = expansion;
        let (name, cost) = products(at.tokens(), gate.into_iter().chain([&up.matrix]));
        let expansion = Expansion { activation, gate, up };
        self.time_product(&name, cost, |cpu| cpu.expand(at, x, norm, expansion, out));
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

    fn logits(
        &mut self,
        at: &Cursor,
        of: (&mut Tensor, &[usize]),
        norm: RmsNorm<'_, Self>,
        matrix: &Matrix,
        out: &mut Tensor,
    ) {
        let (_, cost) = products(of.1.len(), std::iter::once(matrix));
        self.time_product("output layer", cost, |cpu| cpu.logits(at, of, norm, matrix, out));
    }

    fn pool(
        &mut self,
        at: &Cursor,
        pooling: Pooling,
        x: &mut Tensor,
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
