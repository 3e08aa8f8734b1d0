//! Tokens chosen on the device, several of them before the caller knows the first.

use crate::backend::Gpu;
use crate::buffers::{Buffer, GpuCursor, GpuTensor, Token};
use crate::kernels::Kernel;
use crate::recorder::{Call, Mapped, Recorder, map};
use frontdesk_engine::backend::{Choice, Chosen, RunStart};
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
    /// What each block drew, or in the first place what `cut` drew.
    drawn: Buffer,
    /// The tokens that the penalty is on, a bit for each of the vocabulary.
    seen: Buffer,
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
    reach: f32,
    draw: u32,
    penalty: f32,
}

/// Which kernels choose.
#[derive(Clone, Copy)]
struct Variant {
    /// Of its run.
    is_first: bool,
    /// Whether candidates are more than are found by likelihood, or others because of a penalty.
    is_drawn: bool,
    /// Whether some tokens are no candidates.
    is_cut: bool,
    has_penalty: bool,
}

impl Buffers {
    fn dispatch(
        &self,
        recorder: &mut Recorder,
        (cursor, logits): (&GpuCursor, &GpuTensor),
        Variant { is_first, is_drawn, is_cut, has_penalty }: Variant,
    ) {
        let Self { choice, found, drawn, seen, records, .. } = self;
        let logits = &logits.buffer;
        let blocks = self.vocabulary.div_ceil(BLOCK) as u32;
        let (vocabulary, most) = (self.vocabulary as u32, MOST_FOUND as u32);
        let mut dispatch = |kernel, constants: &[u32], buffers: &[&Buffer], workgroups| {
            let grid = [workgroups, 1, 1];
            recorder.dispatch(&Call { kernel, constants, buffers, site: &[], grid });
        };
        let all = [logits, choice, found, seen];
        let bound = &all[..3 + usize::from(has_penalty)];
        dispatch(Kernel::TopK, &[vocabulary, most, has_penalty.into()], bound, blocks);
        let bound = [logits, choice, drawn];
        let draws = match (is_drawn, is_cut) {
            (false, _) => 0,
            (true, true) => {
                dispatch(Kernel::Cut, &[vocabulary], &bound, 1);
                1
            }
            (true, false) => {
                dispatch(Kernel::Draw, &[vocabulary], &bound, blocks);
                blocks
            }
        };
        let all = [found, choice, &cursor.whole, records, drawn, logits, seen];
        let bound = &all[..if is_drawn { 6 + usize::from(has_penalty) } else { 4 }];
        let [advance, has_penalty] = [!is_first, has_penalty].map(u32::from);
        dispatch(Kernel::Choose, &[blocks, most, advance, draws, has_penalty], bound, 1);
    }
}

impl Gpu {
    fn choice_buffers(&mut self, vocabulary: usize) -> Result<()> {
        if self.choices.buffers.as_ref().is_some_and(|buffers| buffers.vocabulary == vocabulary) {
            return Ok(());
        }
        let blocks = vocabulary.div_ceil(BLOCK);
        let mut storage = |numbers: usize| self.recorder.storage(numbers as u64 * 4);
        self.choices.buffers = Some(Buffers {
            vocabulary,
            choice: storage(size_of::<Parameters>() / 4)?,
            found: storage(blocks * (MOST_FOUND + 1) * 2)?,
            drawn: storage(blocks * 2)?,
            seen: storage(vocabulary.div_ceil(32))?,
            records: storage(RECORD * 2 * AHEAD)?,
            readable: (0..AHEAD)
                .map(|_| self.recorder.readable(RECORD_BYTES))
                .collect::<Result<_>>()?,
        });
        Ok(())
    }

    /// Points the cursor at the first token of a run, and notes what was seen.
    fn begin_run(&mut self, cursor: &mut GpuCursor, start: RunStart<'_>, has_penalty: bool) {
        // What was recorded still reads the tokens that are replaced here.
        self.recorder.submit(None);
        let slot = start.slot as u32;
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
        let Some(buffers) = self.choices.buffers.as_ref().filter(|_| has_penalty) else { return };
        let mut seen = vec![0u32; buffers.vocabulary.div_ceil(32)];
        for &id in start.seen {
            if let Some(bits) = seen.get_mut(id as usize / 32) {
                *bits |= 1 << (id % 32);
            }
        }
        self.recorder.write(&buffers.seen, 0, bytemuck::cast_slice(&seen));
    }

    /// Records and submits a choice among row 0 of `logits`; with `start`, as the first token of a run, else
    /// after the cursor's token.
    pub(crate) fn choose_next(
        &mut self,
        cursor: &mut GpuCursor,
        start: Option<RunStart<'_>>,
        logits: &GpuTensor,
        choice: Choice,
    ) -> Result<()> {
        let vocabulary = logits.width;
        self.choice_buffers(vocabulary)?;
        let has_penalty = choice.penalty != 1.0;
        if let Some(start) = start {
            self.begin_run(cursor, start, has_penalty);
        }
        let Some(buffers) = &self.choices.buffers else { return Ok(()) };
        let record = self.choices.next % AHEAD;
        let candidates = choice.top_k.unwrap_or(vocabulary).min(vocabulary);
        let is_drawn = has_penalty || candidates > MOST_FOUND;
        let is_cut = choice.temperature > 0.0
            && (candidates < vocabulary || choice.top_p < 1.0 || choice.reach < f32::MAX);
        let wanted = choice.alternatives.max(if is_drawn { 1 } else { candidates });
        let parameters = Parameters {
            wanted: wanted.clamp(1, MOST_FOUND) as u32,
            candidates: candidates as u32,
            record: record as u32,
            temperature: choice.temperature,
            top_p: choice.top_p,
            reach: choice.reach,
            draw: choice.draw,
            penalty: choice.penalty,
        };
        self.recorder.write(&buffers.choice, 0, bytemuck::bytes_of(&parameters));
        let variant = Variant { is_first: start.is_some(), is_drawn, is_cut, has_penalty };
        buffers.dispatch(&mut self.recorder, (cursor, logits), variant);
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
