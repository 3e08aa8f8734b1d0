//! Tokens chosen on the device, several of them before the caller knows the first.

use crate::backend::Gpu;
use crate::buffers::{Buffer, GpuCursor, GpuTensor, Token};
use crate::kernels::Kernel;
use crate::recorder::{Call, Mapped, map};
use frontdesk_engine::backend::{Choice, Chosen};
use frontdesk_engine::{Error, ErrorKind, Result};
use std::collections::VecDeque;

/// Most tokens that are found by likelihood.
pub(crate) const MOST_FOUND: usize = 64;

/// Choices that may be under way.
pub(crate) const AHEAD: usize = 3;

/// Logits of a workgroup.
const BLOCK: usize = 1024;

/// Pairs of numbers of a record: the choice, its sums, what was found.
const RECORD: usize = MOST_FOUND + 2;
const RECORD_BYTES: u64 = RECORD as u64 * 8;

/// Buffers of choices, and those under way, oldest first.
#[derive(Default)]
pub(crate) struct Choices {
    buffers: Option<Buffers>,
    under_way: VecDeque<(usize, usize, Mapped)>,
    /// The next record's number.
    next: usize,
}

struct Buffers {
    vocabulary: usize,
    choice: Buffer,
    found: Buffer,
    records: Buffer,
    /// One for each record.
    readable: Vec<Buffer>,
}

/// How to choose, as the kernels read it.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Parameters {
    wanted: u32,
    candidates: u32,
    record: u32,
    temperature: f32,
    top_p: f32,
    min_p: f32,
    draw: f32,
    padding: u32,
}

impl Gpu {
    fn choice_buffers(&mut self, vocabulary: usize) -> Result<()> {
        if self.choices.buffers.as_ref().is_some_and(|buffers| buffers.vocabulary == vocabulary) {
            return Ok(());
        }
        let found = vocabulary.div_ceil(BLOCK) * (MOST_FOUND + 1) * 8;
        self.choices.buffers = Some(Buffers {
            vocabulary,
            choice: self.recorder.storage(size_of::<Parameters>() as u64)?,
            found: self.recorder.storage(found as u64)?,
            records: self.recorder.storage(RECORD_BYTES * AHEAD as u64)?,
            readable: (0..AHEAD)
                .map(|_| self.recorder.readable(RECORD_BYTES))
                .collect::<Result<_>>()?,
        });
        Ok(())
    }

    /// Records and submits a choice among row 0 of `logits`; with `start`, as the first token of a run, which goes to
    /// that slot, else after the cursor's token.
    pub(crate) fn choose_next(
        &mut self,
        cursor: &mut GpuCursor,
        start: Option<usize>,
        logits: &GpuTensor,
        choice: Choice,
    ) -> Result<()> {
        self.choice_buffers(logits.width)?;
        if let Some(slot) = start {
            // What was recorded still reads the tokens that are replaced here.
            self.recorder.submit(None);
            let slot = slot as u32;
            let token = Token {
                slot,
                position: slot,
                context_length: slot,
                own_slot: slot,
                own_tokens: 1,
                ..Token::default()
            };
            cursor.is_cut = false;
            cursor.tokens.clear();
            cursor.tokens.push(token);
            cursor.runs.clear();
            self.recorder.write(&cursor.whole, 0, bytemuck::bytes_of(&token));
        }
        let Some(buffers) = &self.choices.buffers else { return Ok(()) };
        let record = self.choices.next % AHEAD;
        let wanted = choice.candidates.max(choice.alternatives).clamp(1, MOST_FOUND);
        let parameters = Parameters {
            wanted: wanted as u32,
            candidates: choice.candidates as u32,
            record: record as u32,
            temperature: choice.temperature,
            top_p: choice.top_p,
            min_p: choice.min_p,
            draw: choice.draw,
            padding: 0,
        };
        self.recorder.write(&buffers.choice, 0, bytemuck::bytes_of(&parameters));
        let blocks = logits.width.div_ceil(BLOCK) as u32;
        let most = MOST_FOUND as u32;
        self.recorder.dispatch(&Call {
            kernel: Kernel::TopK,
            constants: &[logits.width as u32, most],
            buffers: &[&logits.buffer, &buffers.choice, &buffers.found],
            site: &[],
            grid: [blocks, 1, 1],
        });
        self.recorder.dispatch(&Call {
            kernel: Kernel::Choose,
            constants: &[blocks, most, u32::from(start.is_none())],
            buffers: &[&buffers.found, &buffers.choice, &cursor.whole, &buffers.records],
            site: &[],
            grid: [1, 1, 1],
        });
        let readable = &buffers.readable[record];
        let from = record as u64 * RECORD_BYTES;
        self.recorder.submit(Some((&buffers.records, from, readable, RECORD_BYTES)));
        let mapped = map(readable, RECORD_BYTES);
        self.choices.under_way.push_back((record, choice.alternatives, mapped));
        self.choices.next += 1;
        Ok(())
    }

    /// Waits for the oldest choice under way.
    pub(crate) async fn oldest_choice(&mut self) -> Result<Chosen> {
        let (Some((record, alternatives, mapped)), Some(buffers)) =
            (self.choices.under_way.pop_front(), &self.choices.buffers)
        else {
            return Err(Error::new(ErrorKind::InvalidInput, "no token is being chosen"));
        };
        let mut pairs = [[0.0f32; 2]; RECORD];
        let bytes = bytemuck::cast_slice_mut(&mut pairs);
        self.recorder.take(&buffers.readable[record], mapped, bytes).await?;
        self.recorder.counters.reads += 1;
        self.recorder.counters.bytes_read += RECORD_BYTES;
        let [[id, logit], [sum, largest], found @ ..] = pairs;
        let log_sum = largest + sum.ln();
        if !(logit - log_sum).is_finite() {
            return Err(Error::invalid_model("the model computed a number that is not finite"));
        }
        let top = found[..alternatives.min(MOST_FOUND)].iter();
        Ok(Chosen {
            id: id as u32,
            log_probability: logit - log_sum,
            top: top.map(|[id, logit]| (*id as u32, logit - log_sum)).collect(),
        })
    }

    /// Drops the choices under way.
    pub(crate) fn drop_choices(&mut self) {
        if let Some(buffers) = &self.choices.buffers {
            for (record, ..) in self.choices.under_way.drain(..) {
                buffers.readable[record].raw.unmap();
            }
        }
    }
}
