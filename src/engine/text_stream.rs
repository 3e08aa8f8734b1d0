//! Turns the bytes of one token after another into text, and ends at stop strings.
//!
//! A token can end inside a character or inside a stop string. What might still become either is
//! held back until the following bytes decide.

use crate::{Error, ErrorKind, Result};

/// An incremental detokeniser.
#[derive(Debug)]
pub struct TextStream {
    stop: Vec<String>,
    /// The beginning of a character.
    partial: Vec<u8>,
    /// Whole characters that may be the beginning of a stop string.
    held: String,
    stopped: bool,
}

/// What one more token adds to the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Whole characters that belong to the text for certain.
    pub text: String,
    /// Whether a stop string has been reached; neither it nor what follows is part of the text.
    pub stopped: bool,
}

impl TextStream {
    /// A stream that ends where the first of these strings is complete; none may be empty.
    pub fn new(stop: Vec<String>) -> Result<Self> {
        if stop.iter().any(String::is_empty) {
            return Err(Error::new(ErrorKind::InvalidInput, "a stop string is empty"));
        }
        Ok(Self { stop, partial: Vec::new(), held: String::new(), stopped: false })
    }

    /// Adds the bytes of a token.
    pub fn push(&mut self, bytes: &[u8]) -> Piece {
        if self.stopped {
            return Piece { text: String::new(), stopped: true };
        }
        self.decode(bytes);
        if let Some(text) = self.take_before_stop() {
            return Piece { text, stopped: true };
        }
        let certain = self.held.len() - self.undecided();
        let rest = self.held.split_off(certain);
        Piece { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// Ends the text and gives what was held back; an unfinished character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        if self.stopped {
            return String::new();
        }
        if !self.partial.is_empty() {
            self.partial.clear();
            self.held.push(char::REPLACEMENT_CHARACTER);
        }
        let text = self.take_before_stop();
        self.stopped = true;
        text.unwrap_or_else(|| std::mem::take(&mut self.held))
    }

    /// Moves whole characters to `held`, and keeps the beginning of one for later.
    fn decode(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let mut decoded = 0;
        for chunk in self.partial.utf8_chunks() {
            self.held.push_str(chunk.valid());
            decoded += chunk.valid().len();
            let invalid = chunk.invalid();
            let at_end = decoded + invalid.len() == self.partial.len();
            if at_end && is_unfinished(invalid) {
                break;
            }
            if !invalid.is_empty() {
                self.held.push(char::REPLACEMENT_CHARACTER);
                decoded += invalid.len();
            }
        }
        self.partial.drain(..decoded);
    }

    /// If a stop string is complete, the text before it. Of several, the one that was complete
    /// first counts, so that the answer does not depend on how the text was cut into tokens.
    fn take_before_stop(&mut self) -> Option<String> {
        let (_, start) = self
            .stop
            .iter()
            .filter_map(|stop| self.held.find(stop).map(|start| (start + stop.len(), start)))
            .min()?;
        self.stopped = true;
        self.partial.clear();
        let mut text = std::mem::take(&mut self.held);
        text.truncate(start);
        Some(text)
    }

    /// Length of the longest end of `held` that begins a stop string.
    fn undecided(&self) -> usize {
        let begins = |stop: &String, length: usize| {
            self.held.as_bytes().ends_with(&stop.as_bytes()[..length])
        };
        self.stop
            .iter()
            .filter_map(|stop| {
                let longest = (stop.len() - 1).min(self.held.len());
                (1..=longest)
                    .rev()
                    .find(|length| stop.is_char_boundary(*length) && begins(stop, *length))
            })
            .max()
            .unwrap_or(0)
    }
}

/// Whether more bytes could make this a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(error) => error.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer for a text that comes in one piece, worked out another way: every prefix of
    /// the bytes is tried, shortest first, until it ends with a stop string.
    fn expected(bytes: &[u8], stop: &[String]) -> (String, bool) {
        let whole = String::from_utf8_lossy(bytes).into_owned();
        for (end, char) in whole.char_indices() {
            let prefix = &whole[..end + char.len_utf8()];
            let longest = stop.iter().filter(|stop| prefix.ends_with(*stop)).map(String::len).max();
            if let Some(length) = longest {
                return (prefix[..prefix.len() - length].to_owned(), true);
            }
        }
        (whole, false)
    }

    fn streamed(parts: &[&[u8]], stop: &[String]) -> (String, bool) {
        let mut text = String::new();
        let mut stopped = false;
        let Ok(mut stream) = TextStream::new(stop.to_vec()) else {
            return ("no stream".to_owned(), false);
        };
        for part in parts {
            let piece = stream.push(part);
            assert!(!stopped || piece == Piece { text: String::new(), stopped: true });
            text.push_str(&piece.text);
            stopped = piece.stopped;
        }
        text.push_str(&stream.finish());
        (text, stopped)
    }

    const TEXTS: &[&[u8]] = &[
        b"",
        b"plain",
        b"ababac and after",
        b"no END, EN, E, then END. gone",
        "größer 日本語 👩‍👩‍👧 das Ende 語END".as_bytes(),
        b"bad \xff\xfe\xc3( \xe2\x82 \xf0\x9f\x98 END",
        b"cut \xf0\x9f\x98",
        b"\n\n\nEND",
    ];

    fn stops() -> Vec<Vec<String>> {
        [
            &[][..],
            &["END"],
            &["abac"],
            &["\n\n", "EN", "END"],
            &["abacus and", "ac"],
            &["語E", "👧 d", "\u{fffd}("],
            &["cut \u{fffd}"],
        ]
        .iter()
        .map(|stop| stop.iter().map(|text| (*text).to_owned()).collect())
        .collect()
    }

    #[test]
    fn every_split_in_three_gives_the_answer_of_the_whole() {
        let mut stopped_somewhere = false;
        for text in TEXTS {
            for stop in stops() {
                let expected = expected(text, &stop);
                stopped_somewhere |= expected.1;
                for first in 0..=text.len() {
                    for second in first..=text.len() {
                        let parts = [&text[..first], &text[first..second], &text[second..]];
                        let (found, stopped) = streamed(&parts, &stop);
                        assert_eq!(found, expected.0, "{parts:?} {stop:?}");
                        // An unfinished character at the end is only seen by `finish`.
                        assert!(stopped == expected.1 || text.ends_with(b"\x98"));
                    }
                }
            }
        }
        assert!(stopped_somewhere);
    }

    #[test]
    fn random_splits_give_the_answer_of_the_whole() {
        let mut state = 1_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        for _ in 0..20_000 {
            let length = random(24);
            // Few different bytes, so that stop strings and broken characters are common.
            let text: Vec<u8> = (0..length)
                .map(|_| [b'a', b'b', 0xC3, 0xA4, 0xF0, 0x9F, 0x98, 0x80][random(8)])
                .collect();
            let stop = vec!["aba".to_owned(), "bä".to_owned(), "ab\u{fffd}a".to_owned()];
            let mut parts = Vec::new();
            let mut start = 0;
            while start < text.len() {
                let end = start + 1 + random(text.len() - start);
                parts.push(&text[start..end]);
                start = end;
            }
            assert_eq!(streamed(&parts, &stop).0, expected(&text, &stop).0, "{parts:?}");
        }
    }

    #[test]
    fn nothing_that_may_be_a_stop_string_is_shown_early() {
        let Ok(mut stream) = TextStream::new(vec!["<end>".to_owned()]) else {
            panic!("the stop string is not empty");
        };
        assert_eq!(stream.push(b"a<en").text, "a");
        assert_eq!(stream.push(b"<e").text, "<en");
        assert_eq!(stream.push(b"nd").text, "");
        assert_eq!(stream.push(b"> b"), Piece { text: String::new(), stopped: true });
        assert_eq!(stream.push(b"c"), Piece { text: String::new(), stopped: true });
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        let error = TextStream::new(vec!["a".to_owned(), String::new()]).err();
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidInput));
    }
}
