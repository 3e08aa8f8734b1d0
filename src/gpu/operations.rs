//! Operations that are several dispatches, or one of several kernels.

use crate::backend::Gpu;
use crate::buffers::{Buffer, GpuCache, GpuCursor, GpuTensor, GpuVector, PendingUpdate};
use crate::kernels::Kernel;
use crate::matrix::GpuMatrix;
use crate::project::{MOST_GROUPS, Mode, Norm, Output, activation_number};
use crate::recorder::Call;
use frontdesk_engine::Result;
use frontdesk_engine::backend::{AttentionSpec, Expansion, HeadTransform, Linear};

impl Gpu {
    /// Adds what is pending, for the first `tokens` rows.
    pub(crate) fn settle(&mut self, x: &mut GpuTensor, tokens: u32) {
        if let Some(update) = x.pending.take() {
            let from = self.update.buffer(&self.unused).clone();
            self.rms_norm((&from, tokens, &[]), update, x.width, (&x.buffer, true));
        }
    }

    /// `out = norm(x) * weight`, or that added to it, of the first `tokens` rows or of those picked.
    pub(crate) fn rms_norm(
        &mut self,
        (x, tokens, picks): (&Buffer, u32, &[usize]),
        PendingUpdate { weight, epsilon }: PendingUpdate,
        width: usize,
        (out, add): (&Buffer, bool),
    ) {
        let vectors = self.vectors();
        let mut site = [0; 11];
        site.iter_mut().zip(picks).for_each(|(pick, &token)| *pick = token as u32);
        site[8..10].copy_from_slice(&[weight.fourth(), epsilon.to_bits()]);
        let mut groups = tokens;
        if self.is_alone {
            site[10] = tokens;
            groups = tokens.div_ceil(4);
        }
        let has_picks = u32::from(!picks.is_empty());
        self.recorder.dispatch(&Call {
            kernel: Kernel::RmsNorm,
            constants: &[width as u32 / 4, has_picks, u32::from(add), u32::from(self.is_alone)],
            buffers: &[x, &vectors, out],
            site: &site,
            grid: [groups, 1, 1],
        });
    }

    /// Rows of `x`, settled and normalised, for the tiled products.
    pub(crate) fn normed_rows(
        &mut self,
        x: &mut GpuTensor,
        norm: Norm,
        tokens: u32,
    ) -> Result<Buffer> {
        self.settle(x, tokens);
        let Some((weight, epsilon)) = norm else { return Ok(x.buffer.clone()) };
        let out = self.normed.room(&mut self.recorder, tokens as usize * x.width)?;
        let norm = PendingUpdate { weight, epsilon };
        self.rms_norm((&x.buffer, tokens, &[]), norm, x.width, (&out, false));
        Ok(out)
    }

    pub(crate) fn try_project(
        &mut self,
        tokens: u32,
        x: &mut GpuTensor,
        norm: Norm,
        outputs: &mut [(&Linear<Gpu>, &mut GpuTensor)],
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
        let matrices = outputs.iter().map(|(linear, _)| &linear.matrix);
        let rows = self.rows((rows, tokens), matrices)?;
        for (linear, out) in outputs {
            let product = (&linear.matrix, linear.bias, out.offset);
            let output = Output { buffer: &out.buffer, mode: Mode::Store, activation: None };
            self.project_many(&rows, product, out.width as u32, &output);
        }
        Ok(())
    }

    pub(crate) fn try_expand(
        &mut self,
        tokens: u32,
        x: &mut GpuTensor,
        norm: Norm,
        expansion: Expansion<'_, Gpu>,
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
        let rows = self.rows((rows, tokens), products.iter().map(|(matrix, ..)| *matrix))?;
        let stride = out.width as u32;
        let store = |buffer, activation| Output { buffer, mode: Mode::Store, activation };
        let Some(gate) = gate else {
            let output = store(&out.buffer, Some(activation));
            self.project_many(&rows, products[0], stride, &output);
            return Ok(());
        };
        let wide = self.wide.room(&mut self.recorder, tokens as usize * out.width)?;
        self.project_many(&rows, (gate, None, 0), stride, &store(&out.buffer, None));
        self.project_many(&rows, (&up.matrix, up.bias, 0), stride, &store(&wide, None));
        let count = tokens * stride;
        let groups = count.div_ceil(64);
        let side = groups.min(MOST_GROUPS);
        self.recorder.dispatch(&Call {
            kernel: Kernel::Gate,
            constants: &[activation_number(Some(activation))],
            buffers: &[&wide, &out.buffer],
            site: &[count],
            grid: [side, groups.div_ceil(side), 1],
        });
        Ok(())
    }

    pub(crate) fn try_add_product(
        &mut self,
        tokens: u32,
        x: &GpuTensor,
        linear: &Linear<Gpu>,
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
            let rows = self.rows((x.buffer.clone(), tokens), std::iter::once(&linear.matrix))?;
            self.project_many(&rows, product, sum.width as u32, &out);
        }
        sum.pending = norm.map(|(weight, epsilon)| PendingUpdate { weight, epsilon });
        Ok(())
    }

    pub(crate) fn try_attention(
        &mut self,
        at: &GpuCursor,
        (spec, transform): (AttentionSpec, HeadTransform<'_, Gpu>),
        queries: &GpuTensor,
        cache: &GpuCache,
        out: &mut GpuTensor,
    ) -> Result<()> {
        let (heads, dimensions) = (spec.heads as u32, cache.dimensions);
        // As many heads as share keys, and as leave a thread few sums.
        let sharing = heads / cache.heads;
        let most = 16 / dimensions.div_ceil(64).max(2);
        let group = (1..=sharing.min(most)).rev().find(|n| sharing.is_multiple_of(*n)).unwrap_or(1);
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
        let tokens = at.count();
        let threads = (heads / group * splits * tokens).div_ceil(4);
        let wide = threads.min(MOST_GROUPS);
        let (kernel, grid) = match self.is_alone {
            true => (Kernel::AttentionAlone, [wide, threads.div_ceil(wide), 1]),
            false => (Kernel::Attention, [heads / group, splits, tokens]),
        };
        self.recorder.dispatch(&Call {
            kernel,
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
            site: &[queries.offset / 4, norm, epsilon.to_bits(), spec.scale.to_bits(), tokens],
            grid,
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

    pub(crate) fn try_logits(
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
        let count = tokens.len() as u32;
        let norm = PendingUpdate { weight, epsilon };
        self.rms_norm((&x.buffer, count, tokens), norm, x.width, (&rows, false));
        let rows = self.rows((rows, count), std::iter::once(matrix))?;
        self.project_many(&rows, (matrix, None, 0), out.width as u32, &output);
        Ok(())
    }
}
