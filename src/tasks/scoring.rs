//! Scores labels by how likely the model would write each of them after a prompt.

use frontdesk_engine::backend::Backend;
use frontdesk_engine::language_model::{LanguageModel, Prefill};
use frontdesk_engine::sampler::{best_token, log_sum_exp};
use frontdesk_engine::state::{CHUNK, LOGIT_ROWS};
use frontdesk_engine::{Error, ErrorKind, Result};
use std::collections::VecDeque;

/// The labels' scores after one text.
///
/// All labels continue the same prompt, so one pass reads as many of them as fit, each as a branch
/// that sees the prompt and itself alone.
pub(crate) struct Scoring {
    pub(crate) prefill: Prefill,
    pub(crate) prefilled: bool,
    /// Sums of log-probabilities by label, of the tokens scored so far.
    pub(crate) scores: Vec<f64>,
    /// Labels before this one are read.
    label: usize,
    /// Tokens of that label that are read; a label longer than a pass is read in several.
    read: usize,
    /// Tokens read in the last pass whose successors are still to be scored.
    wanted: VecDeque<Wanted>,
}

/// Token `index` of the last pass is followed by `next` in the label `label`.
struct Wanted {
    index: usize,
    next: u32,
    label: usize,
}

impl Scoring {
    pub(crate) fn new(prefill: Prefill) -> Self {
        Self {
            prefill,
            prefilled: false,
            scores: Vec::new(),
            label: 0,
            read: 0,
            wanted: VecDeque::new(),
        }
    }

    /// Reads the next chunk of the prompt; the last one together with as many labels as fit, and scores
    /// all labels' first tokens.
    pub(crate) async fn advance<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        labels: &[Vec<u32>],
    ) -> Result<()> {
        let left = model.left(&self.prefill);
        if left > CHUNK {
            model.prefill(&mut self.prefill)?;
            return Ok(());
        }
        let room = (CHUNK - left).min(model.capacity() - self.prefill.total());
        // The prompt's last token comes before them.
        let branches = self.gather(labels, 1, room);
        model.prefill_and_branch(&self.prefill, &branches)?;
        self.prefilled = true;
        let mut logits = Vec::new();
        model.logits(&[0], &mut logits).await?;
        best_token(&logits)?;
        let log_sum = log_sum_exp(&logits);
        let first = |label: &Vec<u32>| {
            let id = label.first().ok_or_else(no_tokens)?;
            Ok(f64::from(logits[*id as usize] - log_sum))
        };
        self.scores = labels.iter().map(first).collect::<Result<_>>()?;
        Ok(())
    }

    /// Scores a few tokens of the last pass, or reads the next tokens; false once all is done.
    pub(crate) async fn score<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        labels: &[Vec<u32>],
    ) -> Result<bool> {
        model.check_owner(&self.prefill)?;
        if self.wanted.is_empty() {
            return self.read(model, labels);
        }
        let count = self.wanted.len().min(LOGIT_ROWS);
        let wanted: Vec<Wanted> = self.wanted.drain(..count).collect();
        let indices: Vec<usize> = wanted.iter().map(|wanted| wanted.index).collect();
        let mut logits = Vec::new();
        model.logits(&indices, &mut logits).await?;
        for (wanted, logits) in wanted.iter().zip(logits.chunks_exact(logits.len() / count)) {
            best_token(logits)?;
            let log_probability = logits[wanted.next as usize] - log_sum_exp(logits);
            self.scores[wanted.label] += f64::from(log_probability);
        }
        Ok(true)
    }

    /// Reads every token but the last of as many labels as one pass takes, to see how likely the
    /// token after it is; false where none is left.
    fn read<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        labels: &[Vec<u32>],
    ) -> Result<bool> {
        let room = CHUNK.min(model.capacity() - self.prefill.total());
        let branches = self.gather(labels, 0, room);
        if !branches.is_empty() {
            model.branch(&branches)?;
            return Ok(true);
        }
        // What is left begins with a label that is longer than a pass, if with any.
        match labels.get(self.label) {
            Some(label) => self.read_piece(model, label).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes labels in order while they fit into `room` tokens, which come after `offset` in the pass.
    fn gather<'a>(&mut self, labels: &'a [Vec<u32>], offset: usize, room: usize) -> Vec<&'a [u32]> {
        let mut branches: Vec<&[u32]> = Vec::new();
        let mut tokens = 0;
        while let Some(label) = labels.get(self.label).filter(|_| self.read == 0) {
            let unread = label.split_last().map_or(&[][..], |(_, unread)| unread);
            if tokens + unread.len() > room {
                break;
            }
            self.want(offset + tokens, label, unread.len());
            if !unread.is_empty() {
                branches.push(unread);
                tokens += unread.len();
            }
            self.label += 1;
        }
        branches
    }

    /// Reads the next piece of a label that is longer than a pass.
    fn read_piece<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        label: &[u32],
    ) -> Result<()> {
        let unread = &label[self.read..label.len() - 1];
        let piece = &unread[..unread.len().min(CHUNK)];
        model.extend(piece)?;
        self.want(0, label, piece.len());
        self.read += piece.len();
        if self.read == label.len() - 1 {
            model.truncate(self.prefill.total());
            (self.label, self.read) = (self.label + 1, 0);
        }
        Ok(())
    }

    /// Notes what follows `count` tokens of a label, the first of which is token `index` of the pass.
    fn want(&mut self, index: usize, label: &[u32], count: usize) {
        let next = label[self.read + 1..].iter().take(count);
        let wanted = next.enumerate().map(|(offset, next)| Wanted {
            index: index + offset,
            next: *next,
            label: self.label,
        });
        self.wanted.extend(wanted);
    }
}

fn no_tokens() -> Error {
    Error::new(ErrorKind::InvalidInput, "a label has no tokens")
}
