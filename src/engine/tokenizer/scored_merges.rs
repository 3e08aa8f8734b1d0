//! SentencePiece-style BPE: of all neighbours that form a token, those with the best score merge first.
//!
//! The tokenizers crate ranks merges by a list of pairs. A file of this kind has no such list, only
//! scores; the list would have half a million pairs for Gemma, and could not express that two
//! ways to form one token rank the same. The loop below needs only the scores.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::vocabulary::{TokenKind, Vocabulary};
use crate::metadata::Metadata;
use crate::{Error, Result};

/// How these vocabularies spell a space.
const SPACE: char = '\u{2581}';

/// Marks the end of the chain of symbols.
const NONE: usize = usize::MAX;

/// Merges characters by the scores of what they form.
pub(super) struct ScoredMerges {
    /// Text (with plain spaces) to id, for tokens that plain text can become.
    ids: HashMap<Box<str>, u32>,
    /// `[tokens]`
    scores: Vec<f32>,
    /// The token of each raw byte: `[256]`
    byte_ids: Vec<Option<u32>>,
    /// Stands for bytes that have no token.
    unknown: Option<u32>,
    longest: usize,
    /// Characters that some token has before a space. After any other character a space begins
    /// a part that no merge can join to what comes before.
    before_space: HashSet<char>,
}

impl ScoredMerges {
    pub(super) fn from_metadata(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Self> {
        const SCORES: &str = "tokenizer.ggml.scores";
        let scores = metadata.f32s(SCORES)?;
        if scores.len() != vocabulary.len() {
            return Err(Error::invalid_model(format!(
                "{SCORES} has {} entries for {} tokens",
                scores.len(),
                vocabulary.len()
            )));
        }
        let mut merges = Self {
            ids: HashMap::with_capacity(vocabulary.len()),
            scores,
            byte_ids: vec![None; 256],
            unknown: vocabulary.special_id(metadata, "unknown")?,
            longest: 0,
            before_space: HashSet::new(),
        };
        for (id, text, kind) in vocabulary.iter() {
            match kind {
                TokenKind::Normal => merges.insert(spaced(text), id),
                // Those with a space are spelled unlike merged text, so no merge makes them.
                TokenKind::UserDefined if !text.contains(' ') => {
                    merges.insert(Cow::Borrowed(text), id);
                }
                TokenKind::Byte => {
                    let byte = byte_value(text).ok_or_else(|| {
                        Error::invalid_model(format!(
                            "byte token {id} is not spelled like '<0x0A>'"
                        ))
                    })?;
                    merges.byte_ids[usize::from(byte)] = Some(id);
                }
                TokenKind::UserDefined
                | TokenKind::Unknown
                | TokenKind::Control
                | TokenKind::Unused => {}
            }
        }
        if merges.unknown.is_none() && merges.byte_ids.contains(&None) {
            return Err(Error::invalid_model(
                "the vocabulary has neither a token for every byte nor one for unknown text",
            ));
        }
        Ok(merges)
    }

    fn insert(&mut self, text: Cow<'_, str>, id: u32) {
        self.longest = self.longest.max(text.len());
        let mut previous = None;
        for char in text.chars() {
            if let (' ', Some(previous)) = (char, previous) {
                self.before_space.insert(previous);
            }
            previous = Some(char);
        }
        self.ids.insert(text.into(), id);
    }

    /// Appends the ids of `text`.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) {
        let text = spaced(text);
        let mut merging = Merging { merges: self, symbols: Vec::new(), queue: BinaryHeap::new() };
        let mut start = 0;
        let mut previous = None;
        for (position, char) in text.char_indices() {
            if let (' ', Some(previous)) = (char, previous)
                && !self.before_space.contains(&previous)
            {
                merging.encode(&text[start..position], ids);
                start = position;
            }
            previous = Some(char);
        }
        merging.encode(&text[start..], ids);
    }

    fn append_bytes(&self, text: &str, ids: &mut Vec<u32>) {
        for byte in text.bytes() {
            ids.extend(self.byte_ids[usize::from(byte)].or(self.unknown));
        }
    }
}

/// The raw byte of a byte token.
pub(super) fn byte_value(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if plain { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// Text with its spaces spelled plainly.
pub(super) fn spaced(text: &str) -> Cow<'_, str> {
    if text.contains(SPACE) { Cow::Owned(text.replace(SPACE, " ")) } else { Cow::Borrowed(text) }
}

/// Work space for merging one part of a text after another.
struct Merging<'a> {
    merges: &'a ScoredMerges,
    symbols: Vec<Symbol>,
    queue: BinaryHeap<Bigram>,
}

/// A stretch of the text in a chain of such; of length 0 once its left neighbour has taken it in.
struct Symbol {
    start: usize,
    length: usize,
    previous: usize,
    next: usize,
}

/// Two neighbours that form a token.
#[derive(PartialEq)]
struct Bigram {
    score: f32,
    left: usize,
    right: usize,
    /// Length of both when this was found; a difference shows that one has grown since.
    length: usize,
}

impl Eq for Bigram {}

impl Ord for Bigram {
    /// Greatest is what merges first: the best score, and of equals the leftmost.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.left.cmp(&self.left))
            .then_with(|| self.length.cmp(&other.length))
    }
}

impl PartialOrd for Bigram {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Merging<'_> {
    fn encode(&mut self, text: &str, ids: &mut Vec<u32>) {
        self.symbols.clear();
        for (start, char) in text.char_indices() {
            let place = self.symbols.len();
            self.symbols.push(Symbol {
                start,
                length: char.len_utf8(),
                previous: place.checked_sub(1).unwrap_or(NONE),
                next: place + 1,
            });
        }
        let Some(last) = self.symbols.last_mut() else { return };
        last.next = NONE;
        for right in 1..self.symbols.len() {
            self.propose(text, right - 1, right);
        }
        while let Some(bigram) = self.queue.pop() {
            self.merge(text, &bigram);
        }
        let mut place = 0;
        while place != NONE {
            let symbol = &self.symbols[place];
            let piece = &text[symbol.start..symbol.start + symbol.length];
            match self.merges.ids.get(piece) {
                Some(id) => ids.push(*id),
                None => self.merges.append_bytes(piece, ids),
            }
            place = symbol.next;
        }
    }

    fn merge(&mut self, text: &str, bigram: &Bigram) {
        let Bigram { left, right, length, .. } = *bigram;
        let (left_length, right_length) = (self.symbols[left].length, self.symbols[right].length);
        if left_length == 0 || right_length == 0 || left_length + right_length != length {
            return;
        }
        let next = self.symbols[right].next;
        self.symbols[left].length = length;
        self.symbols[left].next = next;
        self.symbols[right].length = 0;
        if next != NONE {
            self.symbols[next].previous = left;
            self.propose(text, left, next);
        }
        let previous = self.symbols[left].previous;
        if previous != NONE {
            self.propose(text, previous, left);
        }
    }

    /// Queues two neighbours if they form a token.
    fn propose(&mut self, text: &str, left: usize, right: usize) {
        let start = self.symbols[left].start;
        let length = self.symbols[left].length + self.symbols[right].length;
        if length > self.merges.longest {
            return;
        }
        if let Some(id) = self.merges.ids.get(&text[start..start + length]) {
            let score = self.merges.scores[*id as usize];
            self.queue.push(Bigram { score, left, right, length });
        }
    }
}
