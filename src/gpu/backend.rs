//! The engine's operations as dispatches.

use crate::buffers::{Buffer, GpuCache, GpuCursor, GpuRope, GpuTensor, GpuVector, Run, Token};
use crate::choice::{AHEAD, Choices};
use crate::device::{AdapterReport, Device, Options, Sharing};
use crate::kernels::Kernel;
use crate::matrix::{GpuMatrix, MOST_PARTS};
use crate::project::Norm;
use crate::recorder::{Call, Counters, Recorder};
use frontdesk_engine::backend::{
    AttentionSpec, Backend, Choice, Chosen, Expansion, HeadTransform, Linear, MatrixSource,
    Pooling, RmsNorm, RopeSpec, RunStart, Segment,
};
use frontdesk_engine::{Error, ErrorKind, Result};

/// Computes on a GPU.
pub struct Gpu {
    pub(crate) recorder: Recorder,
    /// Whether threads compute alone, not in workgroups that share what they load.
    pub(crate) is_alone: bool,
    /// Norms and biases of the model, each from a multiple of 4 on.
    vector_values: Vec<f32>,
    vector_buffer: Option<Buffer>,
    /// What is added to a tensor after a norm.
    pub(crate) update: Scratch,
    pub(crate) normed: Scratch,
    pub(crate) wide: Scratch,
    pub(crate) pairs: Scratch,
    pub(crate) splits: Scratch,
    /// Bound where a kernel's variant writes nothing.
    pub(crate) unused: Buffer,
    pub(crate) choices: Choices,
}

/// A buffer that grows to what is asked of it.
#[derive(Default)]
pub(crate) struct Scratch(Option<Buffer>);

impl Scratch {
    pub(crate) fn room(&mut self, recorder: &mut Recorder, numbers: usize) -> Result<Buffer> {
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
        let is_alone = match options.sharing {
            Sharing::OfAdapter => recorder.device.report.is_software,
            sharing => sharing == Sharing::Alone,
        };
        Ok(Self {
            is_alone,
            recorder,
            vector_values: Vec::new(),
            vector_buffer: None,
            update: Scratch::default(),
            normed: Scratch::default(),
            wide: Scratch::default(),
            pairs: Scratch::default(),
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

    /// A failure of an operation that cannot say so itself; the next read does.
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.recorder.device.failures.note(error.kind(), error.to_string());
        }
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
        let width: u64 = widths.iter().map(|&width| width as u64).sum();
        let bytes = (tokens as u64).saturating_mul(width).saturating_mul(4);
        let buffer = self.recorder.storage(bytes)?;
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
        let [part] = &table.parts[..] else {
            let message = "a table of positions in several buffers is not for the GPU";
            return self.note(Err(Error::new(ErrorKind::UnsupportedModel, message)));
        };
        let vectors = self.vectors();
        self.recorder.dispatch(&Call {
            kernel: Kernel::AddPositions,
            constants: &[table.columns, table.form as u32],
            buffers: &[&part.buffer, at.buffer(), &vectors, &x.buffer],
            site: &[part.numbers, bias.fourth()],
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
                self.rms_norm((&update_buffer, tokens, &[]), update, x.width, (&copy, true));
                (copy, 0)
            }
        };
        self.recorder.read(&from, offset, bytemuck::cast_slice_mut(into)).await
    }

    async fn ready(&mut self) -> Result<()> {
        // Errors arrive in order, so those of all before are known when this is.
        let unused = self.unused.clone();
        self.recorder.read(&unused, 0, &mut [0; 16]).await
    }

    fn bytes(&self) -> usize {
        self.recorder.bytes as usize
    }

    fn choices_ahead(&self) -> usize {
        AHEAD
    }

    fn choose(
        &mut self,
        cursor: &mut GpuCursor,
        start: Option<RunStart<'_>>,
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
