//! The labels' biases of what was asked lately, so that texts without content are scored once for each.

use crate::classify::Label;
use std::collections::VecDeque;

/// How many are remembered: enough for several questions asked in turn of many texts.
const MOST_REMEMBERED: usize = 16;

/// What biases depend on: all of a request but its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) labels: Vec<Label>,
    pub(crate) subject: String,
    /// What is asked of the text; `None` asks what it is about.
    pub(crate) question: Option<String>,
    /// Whether a made-up text is shown for each label.
    pub(crate) examples: bool,
}

/// The biases last used, the latest first.
#[derive(Default)]
pub(crate) struct Biases {
    /// Sums of the labels' log-probabilities after the texts without content.
    remembered: VecDeque<(Asked, Vec<f64>)>,
}

impl Biases {
    /// The sums that were remembered for this.
    pub(crate) fn find(&self, asked: &Asked) -> Option<&[f64]> {
        let found = self.remembered.iter().find(|(known, _)| known == asked);
        found.map(|(_, sums)| sums.as_slice())
    }

    /// Remembers the sums as the latest; the one not used for longest is forgotten.
    pub(crate) fn remember(&mut self, asked: &Asked, sums: &[f64]) {
        let known = self.remembered.iter().position(|(known, _)| known == asked);
        let entry = match known.and_then(|index| self.remembered.remove(index)) {
            Some(entry) => entry,
            None => (asked.clone(), sums.to_vec()),
        };
        self.remembered.push_front(entry);
        self.remembered.truncate(MOST_REMEMBERED);
    }
}
