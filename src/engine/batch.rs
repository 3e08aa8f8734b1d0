//! Packs many short texts into few passes: greedily, in order, each text a segment of its own.

use crate::backend::Segment;

/// Texts on their way through the model.
pub(crate) struct Batch {
    texts: Vec<Vec<u32>>,
    /// Texts before this one are done.
    next: usize,
    /// Tokens of that text that are done.
    read: usize,
    /// KV cache slot of the next token.
    slot: usize,
}

/// What the passes have room for.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Tokens of a pass.
    pub(crate) chunk: usize,
    /// The KV cache slots that are free: from the first to before the second.
    pub(crate) slots: (usize, usize),
    /// Whether a text may go on in the next pass.
    pub(crate) may_split: bool,
}

/// One pass over some of the texts.
pub(crate) struct BatchPass {
    pub(crate) ids: Vec<u32>,
    /// Slot of the first token.
    pub(crate) slot: usize,
    pub(crate) segments: Vec<Segment>,
    /// Where each segment's text is pooled: its index modulo the tokens of a pass, so that no two
    /// texts of one pass share a row and a text keeps its row.
    pub(crate) rows: Vec<usize>,
}

impl Batch {
    /// None of `texts` may be empty or longer than the slots, or than a pass where it cannot split.
    pub(crate) fn new(texts: Vec<Vec<u32>>) -> Self {
        Self { texts, next: 0, read: 0, slot: 0 }
    }

    /// Texts that are done.
    pub(crate) fn done(&self) -> usize {
        self.next
    }

    /// Texts in all.
    pub(crate) fn total(&self) -> usize {
        self.texts.len()
    }

    /// Takes as many tokens as a pass holds; no ids where nothing is left.
    pub(crate) fn next_pass(&mut self, limits: Limits) -> BatchPass {
        if self.read == 0 {
            // Texts that are done leave their slots to others.
            self.slot = limits.slots.0;
        }
        let mut pass =
            BatchPass { ids: Vec::new(), slot: self.slot, segments: Vec::new(), rows: Vec::new() };
        while let Some(text) = self.texts.get(self.next) {
            let unread = &text[self.read..];
            let room = limits.chunk - pass.ids.len();
            let whole = unread.len() <= room;
            if room == 0
                || !(whole || limits.may_split)
                || self.slot + unread.len() > limits.slots.1
            {
                break;
            }
            let part = &unread[..unread.len().min(room)];
            // A text that goes on comes first in its pass, so its slots have no hole.
            let context = if self.read == 0 { 0..0 } else { self.slot - self.read..self.slot };
            pass.segments.push(Segment { tokens: part.len(), context });
            pass.rows.push(self.next % limits.chunk);
            pass.ids.extend_from_slice(part);
            self.slot += part.len();
            (self.next, self.read) =
                if whole { (self.next + 1, 0) } else { (self.next, self.read + part.len()) };
        }
        pass
    }
}
