//! The engine's operations as dispatches.

use crate::buffers::{
    Buffer, GpuCache, GpuCursor, GpuRope, GpuTensor, GpuVector, PendingUpdate, Run, Token,
};
use crate::choice::{AHEAD, Choices};
use crate::device::{AdapterReport, Device, Options};
use crate::kernels::Kernel;
use crate::matrix::{GpuMatrix, MOST_PARTS};
use crate::project::{Mode, Norm, Output, activation_number};
use crate::recorder::{Call, Counters, Recorder};
use frontdesk_engine::backend::{
    AttentionSpec, Backend, Choice, Chosen, Expansion, HeadTransform, Linear, MatrixSource,
    Pooling, RmsNorm, RopeSpec, Segment,
};
use frontdesk_engine::{Error, ErrorKind, Result};

/// Computes on a GPU.
pub struct Gpu {
    pub(crate) recorder: Recorder,
    /// Norms and biases of the model, each from a multiple of 4 on.
    vector_values: Vec<f32>,
    vector_buffer: Option<Buffer>,
    /// What is added to a tensor after a norm.
    pub(crate) update: Scratch,
    normed: Scratch,
    wide: Scratch,
    splits: Scratch,
    /// Bound where a kernel's variant writes nothing.
    pub(crate) unused: Buffer,
    pub(crate) choices: Choices,
}

/// A buffer that grows to what is asked of it.
#[derive(Default)]
pub(crate) struct Scratch(Option<Buffer>);

impl Scratch {
    fn room(&mut self, recorder: &mut Recorder, numbers: usize) -> Result<Buffer> {
        let bytes = numbers as u64 * 4;
        match &self.0 {
            Some(buffer) if buffer.raw.size() >= bytes => Ok(buffer.clone()),
            _ => {
                let buffer = recorder.storage(bytes)?;
                self.0 = Some(buffer.clone());
                Ok(buffer)
            }
        }
    }

    /// What is there, or else `unused`.
    pub(crate) fn buffer<'a>(&'a self, unused: &'a Buffer) -> &'a Buffer {
        self.0.as_ref().unwrap_or(unused)
    }
}

impl Gpu {
    /// Opens a device.
    ///
    /// # Errors
    /// `Backend` where there is no adapter or it does not open.
    pub async fn open(options: Options) -> Result<Self> {
        let mut recorder = Recorder::new(Device::open(options).await?);
        let unused = recorder.storage(16)?;
        Ok(Self {
            recorder,
            vector_values: Vec::new(),
            vector_buffer: None,
            update: Scratch::default(),
            normed: Scratch::default(),
            wide: Scratch::default(),
            splits: Scratch::default(),
            unused,
            choices: Choices::default(),
        })
    }

    /// What the adapter says of itself.
    pub fn adapter(&self) -> &AdapterReport {
        &self.recorder.device.report
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.recorder.counters
    }

    /// Gives the device up, as if it were lost; everything fails from now on.
    pub fn destroy(&self) {
        self.recorder.device.device.destroy();
    }

    /// All vectors, in one buffer.
    pub(crate) fn vectors(&mut self) -> Buffer {
        if let Some(buffer) = &self.vector_buffer {
            return buffer.clone();
        }
        let bytes = bytemuck::cast_slice(&self.vector_values);
        // Vectors are far smaller than matrices, for which the limits were checked.
        let Ok(buffer) = self.recorder.storage(bytes.len() as u64) else {
            return self.unused.clone();
        };
        self.recorder.write(&buffer, 0, bytes);
        self.recorder.forget_groups();
        self.vector_buffer = Some(buffer.clone());
        buffer
    }

    /// The buffer into which a tensor moves where it cannot change in place.
    pub(crate) fn spare(&mut self, x: &mut GpuTensor) -> Buffer {
        if let Some(spare) = x.spare.take() {
            return spare;
        }
        // As large as the one that is there.
        self.recorder.storage(x.buffer.raw.size()).unwrap_or_else(|_| self.unused.clone())
    }

    /// Adds what is pending, for the first `tokens` rows.
    pub(crate) fn settle(&mut self, x: &mut GpuTensor, tokens: u32) {
        if let Some(update) = x.pending.take() {
            let from = self.update.buffer(&self.unused).clone();
            self.rms_norm((&from, tokens), update, x.width, (&x.buffer, true));
        }
    }

    /// `out = norm(x) * weight`, or that added to it.
    fn rms_norm(
        &mut self,
        (x, tokens): (&Buffer, u32),
        PendingUpdate { weight, epsilon }: PendingUpdate,
        width: usize,
        (out, add): (&Buffer, bool),
    ) {
        let vectors = self.vectors();
        let mut site = [0; 10];
        site[8..].copy_from_slice(&[weight.fourth(), epsilon.to_bits()]);
        self.recorder.dispatch(&Call {
            kernel: Kernel::RmsNorm,
            constants: &[width as u32 / 4, 0, u32::from(add)],
            buffers: &[x, &vectors, out],
            site: &site,
            grid: [tokens, 1, 1],
        });
    }

    /// Rows of `x`, settled and normalised, for the tiled products.
    fn normed_rows(&mut self, x: &mut GpuTensor, norm: Norm, tokens: u32) -> Result<Buffer> {
        self.settle(x, tokens);
        let Some((weight, epsilon)) = norm else { return Ok(x.buffer.clone()) };
        let out = self.normed.room(&mut self.recorder, tokens as usize * x.width)?;
        let norm = PendingUpdate { weight, epsilon };
        self.rms_norm((&x.buffer, tokens), norm, x.width, (&out, false));
        Ok(out)
    }

    /// A failure of an operation that cannot say so itself; the next read does.
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.recorder.device.failures.note(error.kind(), error.to_string());
        }
    }

    fn try_project(
        &mut self,
        tokens: u32,
        x: &mut GpuTensor,
        norm: Norm,
        outputs: &mut [(&Linear<Self>, &mut GpuTensor)],
    ) -> Result<()> {
        let shared = outputs.iter().all(|(_, out)| out.buffer.id == outputs[0].1.buffer.id);
        if tokens == 1 && shared {
            let products: Vec<_> = outputs
                .iter()
                .map(|(linear, out)| (&linear.matrix, linear.bias, out.offset))
                .collect();
            let buffer = outputs[0].1.buffer.clone();
            let out = Output { buffer: &buffer, mode: Mode::Store, activation: None };
            self.project_one(x, norm, &products, &out);
            return Ok(());
        }
        let rows = self.normed_rows(x, norm, tokens)?;
        for (linear, out) in outputs {
            let product = (&linear.matrix, linear.bias, out.offset);
            let output = Output { buffer: &out.buffer, mode: Mode::Store, activation: None };
            self.project_many((&rows, tokens), product, out.width as u32, &output);
        }
        Ok(())
    }

    fn try_expand(
        &mut self,
        tokens: u32,
        x: &mut GpuTensor,
        norm: Norm,
        expansion: Expansion<'_, Self>,
        out: &mut GpuTensor,
    ) -> Result<()> {
        let Expansion { activation, gate, up } = expansion;
        let products = match gate {
            Some(gate) => vec![(gate, None, 0), (&up.matrix, up.bias, 0)],
            None => vec![(&up.matrix, up.bias, 0)],
        };
        let is_whole = products.iter().all(|(matrix, ..)| matrix.parts.len() == 1);
        if tokens == 1 && is_whole {
            let mode = if gate.is_some() { Mode::Gate } else { Mode::Store };
            let output = Output { buffer: &out.buffer, mode, activation: Some(activation) };
            self.project_one(x, norm, &products, &output);
            return Ok(());
        }
        let rows = self.normed_rows(x, norm, tokens)?;
        let stride = out.width as u32;
        let store = |buffer, activation| Output { buffer, mode: Mode::Store, activation };
        let Some(gate) = gate else {
            let output = store(&out.buffer, Some(activation));
            self.project_many((&rows, tokens), products[0], stride, &output);
            return Ok(());
        };
        let wide = self.wide.room(&mut self.recorder, tokens as usize * out.width)?;
        self.project_many((&rows, tokens), (gate, None, 0), stride, &store(&out.buffer, None));
        self.project_many((&rows, tokens), (&up.matrix, up.bias, 0), stride, &store(&wide, None));
        let count = tokens * stride;
        let groups = count.div_ceil(64);
        let side = groups.min(crate::project::MOST_GROUPS);
        self.recorder.dispatch(&Call {
            kernel: Kernel::Gate,
            constants: &[activation_number(Some(activation))],
            buffers: &[&wide, &out.buffer],
            site: &[count],
            grid: [side, groups.div_ceil(side), 1],
        });
        Ok(())
    }

    fn try_add_product(
        &mut self,
        tokens: u32,
        x: &GpuTensor,
        linear: &Linear<Self>,
        norm: Norm,
        sum: &mut GpuTensor,
    ) -> Result<()> {
        self.settle(sum, tokens);
        let (buffer, mode) = match norm {
            None => (sum.buffer.clone(), Mode::Add),
            Some(_) => {
                let room = self.update.room(&mut self.recorder, tokens as usize * sum.width)?;
                (room, Mode::Store)
            }
        };
        let product = (&linear.matrix, linear.bias, 0);
        let out = Output { buffer: &buffer, mode, activation: None };
        if tokens == 1 {
            // A tensor of the same buffer: nothing of `x` is pending.
            let mut x = GpuTensor {
                buffer: x.buffer.clone(),
                offset: x.offset,
                width: x.width,
                spare: None,
                pending: None,
            };
            self.project_one(&mut x, None, &[product], &out);
        } else {
            self.project_many((&x.buffer, tokens), product, sum.width as u32, &out);
        }
        sum.pending = norm.map(|(weight, epsilon)| PendingUpdate { weight, epsilon });
        Ok(())
    }

    fn try_attention(
        &mut self,
        at: &GpuCursor,
        (spec, transform): (AttentionSpec, HeadTransform<'_, Self>),
        queries: &GpuTensor,
        cache: &GpuCache,
        out: &mut GpuTensor,
    ) -> Result<()> {
        let (heads, dimensions) = (spec.heads as u32, cache.dimensions);
        // As many heads as share keys, and as leave a thread few sums.
        let sharing = heads / cache.heads;
        let most = 16 / dimensions.div_ceil(64).max(2);
        let group = (1..=sharing.min(most)).rev().find(|n| sharing % n == 0).unwrap_or(1);
        let splits = if at.count() == 1 { (cache.capacity / 64).clamp(1, 16) as u32 } else { 1 };
        let to = match splits {
            1 => out.buffer.clone(),
            _ => {
                let numbers = (heads * splits * (dimensions + 2)) as usize;
                self.splits.room(&mut self.recorder, numbers)?
            }
        };
        let (norm, epsilon) = transform.norm.map_or((0, 0.0), |(w, epsilon)| (w.fourth(), epsilon));
        let vectors = self.vectors();
        let table = transform.rope.map_or(&self.unused, |rope| &rope.table);
        self.recorder.dispatch(&Call {
            kernel: Kernel::Attention,
            constants: &[
                heads,
                cache.heads,
                dimensions,
                group,
                splits,
                spec.window.map_or(u32::MAX, |window| window as u32),
                u32::from(spec.causal),
                u32::from(transform.norm.is_some()),
                u32::from(transform.rope.is_some()),
            ],
            buffers: &[
                at.buffer(),
                &queries.buffer,
                table,
                &vectors,
                &cache.keys,
                &cache.values,
                &to,
            ],
            site: &[queries.offset / 4, norm, epsilon.to_bits(), spec.scale.to_bits()],
            grid: [heads / group, splits, at.count()],
        });
        if splits > 1 {
            self.recorder.dispatch(&Call {
                kernel: Kernel::JoinSplits,
                constants: &[dimensions, splits],
                buffers: &[&to, &out.buffer],
                site: &[],
                grid: [heads, 1, 1],
            });
        }
        Ok(())
    }

    fn try_logits(
        &mut self,
        (x, tokens): (&mut GpuTensor, &[usize]),
        (weight, epsilon): (GpuVector, f32),
        matrix: &GpuMatrix,
        out: &mut GpuTensor,
    ) -> Result<()> {
        let output = Output { buffer: &out.buffer, mode: Mode::Store, activation: None };
        if let [0] = tokens {
            self.project_one(x, Some((weight, epsilon)), &[(matrix, None, 0)], &output);
            return Ok(());
        }
        let last = tokens.iter().max().map_or(0, |&token| token as u32);
        self.settle(x, last + 1);
        let rows = self.normed.room(&mut self.recorder, tokens.len() * x.width)?;
        let vectors = self.vectors();
        let mut site = [0; 10];
        site.iter_mut().zip(tokens).for_each(|(pick, &token)| *pick = token as u32);
        site[8..].copy_from_slice(&[weight.fourth(), epsilon.to_bits()]);
        let count = tokens.len() as u32;
        self.recorder.dispatch(&Call {
            kernel: Kernel::RmsNorm,
            constants: &[x.width as u32 / 4, 1, 0],
            buffers: &[&x.buffer, &vectors, &rows],
            site: &site,
            grid: [count, 1, 1],
        });
        self.project_many((&rows, count), (matrix, None, 0), out.width as u32, &output);
        Ok(())
    }

    fn new_tensor(buffer: Buffer, offset: usize, width: usize) -> GpuTensor {
        GpuTensor { buffer, offset: offset as u32, width, spare: None, pending: None }
    }
}

/// Sizes that the kernels cannot have.
fn unsupported(message: String) -> Error {
    Error::new(ErrorKind::UnsupportedModel, message)
}

fn norm_of(norm: Option<RmsNorm<'_, Gpu>>) -> Norm {
    norm.map(|(weight, epsilon)| (*weight, epsilon))
}

impl Backend for Gpu {
    type Tensor = GpuTensor;
    type Matrix = GpuMatrix;
    type Vector = GpuVector;
    type Cache = GpuCache;
    type Rope = GpuRope;
    type Cursor = GpuCursor;

    fn matrix(&mut self, source: MatrixSource<'_>) -> Result<GpuMatrix> {
        GpuMatrix::load(&mut self.recorder, source)
    }

    fn vector(&mut self, values: &[f32]) -> Result<GpuVector> {
        let start = self.vector_values.len();
        self.vector_values.extend_from_slice(values);
        self.vector_values.resize(self.vector_values.len().next_multiple_of(4), 0.0);
        self.vector_buffer = None;
        Ok(GpuVector { start: start as u32 })
    }

    fn tensor(&mut self, tokens: usize, width: usize) -> Result<GpuTensor> {
        let bytes = (tokens as u64).saturating_mul(width as u64).saturating_mul(4);
        Ok(Self::new_tensor(self.recorder.storage(bytes)?, 0, width))
    }

    fn tensors<const COUNT: usize>(
        &mut self,
        tokens: usize,
        widths: [usize; COUNT],
    ) -> Result<[GpuTensor; COUNT]> {
        let numbers = widths.iter().sum::<usize>() * tokens;
        let buffer = self.recorder.storage(numbers as u64 * 4)?;
        let mut offset = 0;
        Ok(widths.map(|width| {
            let tensor = Self::new_tensor(buffer.clone(), offset, width);
            offset += tokens * width;
            tensor
        }))
    }

    fn cache(&mut self, heads: usize, dimensions: usize, capacity: usize) -> Result<GpuCache> {
        if !dimensions.is_multiple_of(8) {
            return Err(unsupported(format!("heads {dimensions} wide are not for the GPU")));
        }
        let bytes = capacity.saturating_mul(heads * dimensions).saturating_mul(4) as u64;
        Ok(GpuCache {
            keys: self.recorder.storage(bytes)?,
            values: self.recorder.storage(bytes)?,
            heads: heads as u32,
            dimensions: dimensions as u32,
            capacity,
        })
    }

    fn rope_table(&mut self, spec: RopeSpec) -> Result<GpuRope> {
        let RopeSpec { positions, dimensions, .. } = spec;
        let half = dimensions / 2;
        let table = self.recorder.storage((positions * half * 8) as u64)?;
        let mut row = vec![[0.0f32; 2]; half];
        for position in 0..positions {
            for (pair, number) in row.iter_mut().enumerate() {
                let angle = spec.angle(position, pair);
                *number = [angle.cos() as f32, angle.sin() as f32];
            }
            let offset = (position * half * 8) as u64;
            self.recorder.write(&table, offset, bytemuck::cast_slice(&row));
        }
        self.recorder.drain();
        Ok(GpuRope { table })
    }

    fn cursor(&mut self, tokens: usize) -> Result<GpuCursor> {
        let bytes = (tokens * size_of::<Token>()) as u64;
        Ok(GpuCursor {
            whole: self.recorder.storage(bytes)?,
            kept: self.recorder.storage(bytes)?,
            segments: self.recorder.storage(tokens as u64 * 16)?,
            is_cut: false,
            tokens: Vec::with_capacity(tokens),
            runs: Vec::new(),
        })
    }

    fn seek(&mut self, cursor: &mut GpuCursor, ids: &[u32], slot: usize, segments: &[Segment]) {
        // What was recorded still reads the tokens that are replaced here.
        self.recorder.submit(None);
        cursor.is_cut = false;
        cursor.tokens.clear();
        cursor.runs.clear();
        let mut ids = ids.iter();
        for Segment { tokens, context } in segments {
            let first = cursor.count();
            let before = context.len() as u32;
            cursor.runs.push(Run { first, tokens: *tokens as u32, before });
            for (index, id) in ids.by_ref().take(*tokens).enumerate() {
                let index = index as u32;
                cursor.tokens.push(Token {
                    id: *id,
                    slot: slot as u32 + first + index,
                    position: before + index,
                    context_start: context.start as u32,
                    context_length: before,
                    own_slot: slot as u32 + first,
                    own_tokens: *tokens as u32,
                    index,
                });
            }
        }
        self.recorder.write(&cursor.whole, 0, bytemuck::cast_slice(&cursor.tokens));
    }

    fn keep_from(&mut self, cursor: &mut GpuCursor, first: usize, x: &mut GpuTensor) {
        self.settle(x, cursor.count());
        cursor.tokens.drain(..first);
        cursor.runs.clear();
        cursor.is_cut = true;
        self.recorder.write(&cursor.kept, 0, bytemuck::cast_slice(&cursor.tokens));
        let vectors = x.width as u32 / 4;
        let spare = self.spare(x);
        let count = cursor.count() * vectors;
        self.recorder.dispatch(&Call {
            kernel: Kernel::CopyRows,
            constants: &[],
            buffers: &[&x.buffer, &spare],
            site: &[first as u32 * vectors, count],
            grid: [count.div_ceil(64), 1, 1],
        });
        x.spare = Some(std::mem::replace(&mut x.buffer, spare));
    }

    fn embed(&mut self, at: &GpuCursor, table: &GpuMatrix, scale: f32, out: &mut GpuTensor) {
        out.pending = None;
        let part = |index: usize| table.parts.get(index).unwrap_or(&table.parts[0]);
        let rows = |index: usize| table.parts.get(index).map_or(0, |part| part.rows);
        let parts: [_; MOST_PARTS] = std::array::from_fn(part);
        let form = table.form as u32;
        self.recorder.dispatch(&Call {
            kernel: Kernel::Embed,
            constants: &[table.columns, form, form, form],
            buffers: &[
                &parts[0].buffer,
                &parts[1].buffer,
                &parts[2].buffer,
                at.buffer(),
                &out.buffer,
            ],
            site: &[
                rows(0),
                rows(1),
                rows(2),
                0,
                parts[0].numbers,
                parts[1].numbers,
                parts[2].numbers,
                0,
                scale.to_bits(),
            ],
            grid: [(table.columns / 8).div_ceil(64), at.count(), 1],
        });
    }

    fn add_positions(
        &mut self,
        at: &GpuCursor,
        table: &GpuMatrix,
        bias: &GpuVector,
        x: &mut GpuTensor,
    ) {
        let vectors = self.vectors();
        self.recorder.dispatch(&Call {
            kernel: Kernel::AddPositions,
            constants: &[table.columns, table.form as u32],
            buffers: &[&table.parts[0].buffer, at.buffer(), &vectors, &x.buffer],
            site: &[table.parts[0].numbers, bias.fourth()],
            grid: [(table.columns / 8).div_ceil(64), at.count(), 1],
        });
    }

    fn project(
        &mut self,
        at: &GpuCursor,
        x: &mut GpuTensor,
        norm: Option<RmsNorm<'_, Self>>,
        outputs: &mut [(&Linear<Self>, &mut GpuTensor)],
    ) {
        let done = self.try_project(at.count(), x, norm_of(norm), outputs);
        self.note(done);
    }

    fn write_cache(
        &mut self,
        at: &GpuCursor,
        transform: HeadTransform<'_, Self>,
        keys: &mut GpuTensor,
        values: &GpuTensor,
        cache: &mut GpuCache,
    ) {
        let (norm, epsilon) = transform.norm.map_or((0, 0.0), |(w, epsilon)| (w.fourth(), epsilon));
        let vectors = self.vectors();
        let table = transform.rope.map_or(&self.unused, |rope| &rope.table);
        self.recorder.dispatch(&Call {
            kernel: Kernel::WriteCache,
            constants: &[
                cache.heads,
                cache.dimensions,
                u32::from(transform.norm.is_some()),
                u32::from(transform.rope.is_some()),
            ],
            buffers: &[at.buffer(), &keys.buffer, table, &vectors, &cache.keys, &cache.values],
            site: &[keys.offset / 4, values.offset / 4, norm, epsilon.to_bits()],
            grid: [cache.heads, at.count(), 1],
        });
    }

    fn attention(
        &mut self,
        at: &GpuCursor,
        how: (AttentionSpec, HeadTransform<'_, Self>),
        queries: &mut GpuTensor,
        cache: &GpuCache,
        out: &mut GpuTensor,
    ) {
        let done = self.try_attention(at, how, queries, cache, out);
        self.note(done);
    }

    fn add_product(
        &mut self,
        at: &GpuCursor,
        x: &GpuTensor,
        linear: &Linear<Self>,
        norm: Option<RmsNorm<'_, Self>>,
        sum: &mut GpuTensor,
    ) {
        let done = self.try_add_product(at.count(), x, linear, norm_of(norm), sum);
        self.note(done);
    }

    fn expand(
        &mut self,
        at: &GpuCursor,
        x: &mut GpuTensor,
        norm: Option<RmsNorm<'_, Self>>,
        expansion: Expansion<'_, Self>,
        out: &mut GpuTensor,
    ) {
        let done = self.try_expand(at.count(), x, norm_of(norm), expansion, out);
        self.note(done);
    }

    fn layer_norm_in_place(
        &mut self,
        at: &GpuCursor,
        x: &mut GpuTensor,
        (weight, bias): (&GpuVector, &GpuVector),
        epsilon: f32,
    ) {
        let vectors = self.vectors();
        self.recorder.dispatch(&Call {
            kernel: Kernel::LayerNorm,
            constants: &[x.width as u32 / 4],
            buffers: &[&vectors, &x.buffer],
            site: &[weight.fourth(), bias.fourth(), epsilon.to_bits()],
            grid: [at.count(), 1, 1],
        });
    }

    fn logits(
        &mut self,
        _at: &GpuCursor,
        of: (&mut GpuTensor, &[usize]),
        (weight, epsilon): RmsNorm<'_, Self>,
        matrix: &GpuMatrix,
        out: &mut GpuTensor,
    ) {
        let done = self.try_logits(of, (*weight, epsilon), matrix, out);
        self.note(done);
    }

    fn pool(
        &mut self,
        at: &GpuCursor,
        pooling: Pooling,
        x: &mut GpuTensor,
        rows: &[usize],
        out: &mut GpuTensor,
    ) {
        self.settle(x, at.count());
        // What was recorded may still read other rows.
        self.recorder.submit(None);
        let runs: Vec<[u32; 4]> = at
            .runs
            .iter()
            .zip(rows)
            .map(|(run, &row)| [run.first, run.tokens, run.before, row as u32])
            .collect();
        self.recorder.write(&at.segments, 0, bytemuck::cast_slice(&runs));
        let pooling = match pooling {
            Pooling::Mean => 0,
            Pooling::Last => 1,
            Pooling::First => 2,
            Pooling::Max => 3,
        };
        self.recorder.dispatch(&Call {
            kernel: Kernel::Pool,
            constants: &[x.width as u32, pooling],
            buffers: &[&x.buffer, &at.segments, &out.buffer],
            site: &[],
            grid: [(x.width as u32).div_ceil(64), runs.len() as u32, 1],
        });
    }

    async fn read(&mut self, x: &GpuTensor, into: &mut [f32]) -> Result<()> {
        let (from, offset) = match x.pending {
            None => (x.buffer.clone(), u64::from(x.offset) * 4),
            Some(update) => {
                // Settled in a copy: the tensor itself stays as it is.
                let tokens = into.len().div_ceil(x.width) as u32;
                let count = tokens * x.width as u32 / 4;
                let copy = self.normed.room(&mut self.recorder, tokens as usize * x.width)?;
                self.recorder.dispatch(&Call {
                    kernel: Kernel::CopyRows,
                    constants: &[],
                    buffers: &[&x.buffer, &copy],
                    site: &[0, count],
                    grid: [count.div_ceil(64), 1, 1],
                });
                let update_buffer = self.update.buffer(&self.unused).clone();
                self.rms_norm((&update_buffer, tokens), update, x.width, (&copy, true));
                (copy, 0)
            }
        };
        self.recorder.read(&from, offset, bytemuck::cast_slice_mut(into)).await
    }

    fn bytes(&self) -> usize {
        self.recorder.bytes as usize
    }

    fn choices_ahead(&self) -> usize {
        AHEAD
    }

    fn most_candidates(&self) -> usize {
        crate::choice::MOST_FOUND
    }

    fn choose(
        &mut self,
        cursor: &mut GpuCursor,
        start: Option<usize>,
        logits: &GpuTensor,
        choice: Choice,
    ) {
        let done = self.choose_next(cursor, start, logits, choice);
        self.note(done);
    }

    async fn chosen(&mut self) -> Result<Chosen> {
        self.oldest_choice().await
    }

    fn forget_choices(&mut self) {
        self.drop_choices();
    }
}
