//! Byte-level BPE (GPT-2 family): splits text into words, spells their bytes as characters, merges.

use std::collections::HashSet;

use regex::Regex;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};

use super::vocabulary::{TokenKind, Vocabulary};
use crate::metadata::Metadata;
use crate::{Error, ErrorKind, Result};

/// Words whose merges are remembered.
const CACHED_WORDS: usize = 4096;

/// The word patterns are those published with each model family, without their look-ahead
/// `\s+(?!\S)`: `words` does its work, so that the engine is a linear-time one.
const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
const LLAMA3_WORDS: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
const QWEN2_WORDS: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";

/// Merges the bytes of words.
pub(super) struct ByteLevelBpe {
    model: BPE,
    words: WordSplitter,
    /// The character that spells each byte; none where the vocabulary lacks it: `[256]`
    byte_chars: Vec<Option<char>>,
}

/// How text is cut into words before merging.
struct WordSplitter {
    pattern: Regex,
    /// Every digit is a word of its own, and no pattern looks across one.
    isolate_digits: bool,
    /// White space that ends a line is a word; see `words`.
    lines_end_words: bool,
    /// A word that is a token stays whole, whatever the merges say.
    whole_words_first: bool,
}

impl ByteLevelBpe {
    pub(super) fn from_metadata(metadata: &Metadata, vocabulary: &Vocabulary<'_>) -> Result<Self> {
        let words = WordSplitter::named(pre_tokenizer(metadata)?)?;
        let byte_of_char = ByteOfChar::new();
        let mut vocab = Vocab::with_capacity(vocabulary.len());
        for (id, text, kind) in vocabulary.iter() {
            match kind {
                TokenKind::Normal => {
                    if let Some(char) = text.chars().find(|char| byte_of_char.get(*char).is_none())
                    {
                        return Err(Error::invalid_model(format!(
                            "token {id} of a byte-level vocabulary holds U+{:04X}, which spells no byte",
                            u32::from(char)
                        )));
                    }
                    vocab.insert(text.to_owned(), id);
                }
                TokenKind::Byte => {
                    return Err(Error::invalid_model(format!(
                        "token {id} is a byte token; a byte-level vocabulary has none"
                    )));
                }
                TokenKind::Unknown
                | TokenKind::Control
                | TokenKind::UserDefined
                | TokenKind::Unused => {}
            }
        }
        let merges = merges(metadata, vocabulary, &vocab)?;
        let byte_chars = (0..=255_u8)
            .map(char_of_byte)
            .map(|char| vocab.contains_key(char.encode_utf8(&mut [0; 4])).then_some(char))
            .collect();
        let model = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .cache_capacity(CACHED_WORDS)
            .ignore_merges(words.whole_words_first)
            .build()
            .map_err(|cause| {
                Error::invalid_model("the merges do not fit the vocabulary").with_source(cause)
            })?;
        Ok(Self { model, words, byte_chars })
    }

    /// Appends the ids of `text`. Bytes that the vocabulary cannot spell are left out.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let mut spelled = String::new();
        self.words.words(text, &mut |word| {
            spelled.clear();
            for byte in word.bytes() {
                match self.byte_chars[usize::from(byte)] {
                    Some(char) => spelled.push(char),
                    // No merge may join what stands on either side of a missing byte.
                    None => {
                        self.encode_spelled(&spelled, ids)?;
                        spelled.clear();
                    }
                }
            }
            self.encode_spelled(&spelled, ids)
        })
    }

    fn encode_spelled(&self, spelled: &str, ids: &mut Vec<u32>) -> Result<()> {
        let tokens = self.model.tokenize(spelled).map_err(|cause| {
            Error::invalid_model("the vocabulary cannot encode a word").with_source(cause)
        })?;
        ids.extend(tokens.into_iter().map(|token| token.id));
        Ok(())
    }
}

/// The name of the word splitter that the file asks for.
pub(super) fn pre_tokenizer(metadata: &Metadata) -> Result<&str> {
    Ok(metadata.string_opt("tokenizer.ggml.pre")?.unwrap_or("default"))
}

/// The bytes that a token of a byte-level vocabulary spells.
pub(super) fn append_spelled_bytes(text: &str, bytes: &mut Vec<u8>, byte_of_char: &ByteOfChar) {
    bytes.extend(text.chars().filter_map(|char| byte_of_char.get(char)));
}

fn merges(
    metadata: &Metadata,
    vocabulary: &Vocabulary<'_>,
    vocab: &Vocab,
) -> Result<Vec<(String, String)>> {
    const MERGES: &str = "tokenizer.ggml.merges";
    let lines = metadata.strings(MERGES)?;
    let mut merges = Vec::with_capacity(lines.len());
    let mut joined = String::new();
    // A merge that makes a control token is left out: with it, a user could type that token.
    let unreachable: HashSet<&str> = vocabulary
        .iter()
        .filter(|(_, _, kind)| *kind != TokenKind::Normal)
        .map(|(_, text, _)| text)
        .collect();
    let known = |text: &str| vocab.contains_key(text);
    for (rank, line) in lines.into_iter().enumerate() {
        let Some((left, right)) = line
            .split_once(' ')
            .filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '))
        else {
            return Err(Error::invalid_model(format!(
                "entry {rank} of {MERGES} is not two tokens with a space between"
            )));
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        if known(left) && known(right) && known(&joined) {
            merges.push((left.to_owned(), right.to_owned()));
        } else if let Some(text) = [left, right, joined.as_str()]
            .into_iter()
            .find(|text| !known(text) && !unreachable.contains(text))
        {
            return Err(Error::invalid_model(format!(
                "entry {rank} of {MERGES} names a token of {} bytes that is not in the vocabulary",
                text.len()
            )));
        }
    }
    Ok(merges)
}

impl WordSplitter {
    fn named(name: &str) -> Result<Self> {
        let (pattern, isolate_digits, lines_end_words, whole_words_first) = match name {
            "smollm" => (GPT2_WORDS, true, false, false),
            "gpt-2" => (GPT2_WORDS, false, false, false),
            "llama-bpe" => (LLAMA3_WORDS, false, true, true),
            "qwen2" => (QWEN2_WORDS, false, true, false),
            _ => {
                let name: String = name.chars().take(40).collect();
                return Err(Error::new(
                    ErrorKind::UnsupportedModel,
                    format!("the pre-tokenizer {name:?} is not supported"),
                ));
            }
        };
        let pattern = Regex::new(pattern).map_err(|cause| {
            Error::new(ErrorKind::UnsupportedModel, "the word pattern does not compile")
                .with_source(cause)
        })?;
        Ok(Self { pattern, isolate_digits, lines_end_words, whole_words_first })
    }

    /// Calls `emit` with each word of `text` in turn.
    fn words(&self, text: &str, emit: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        if !self.isolate_digits {
            return self.words_without_isolation(text, emit);
        }
        let mut start = 0;
        for (position, digit) in text.match_indices(char::is_numeric) {
            self.words_without_isolation(&text[start..position], emit)?;
            emit(digit)?;
            start = position + digit.len();
        }
        self.words_without_isolation(&text[start..], emit)
    }

    fn words_without_isolation(
        &self,
        text: &str,
        emit: &mut impl FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let mut start = 0;
        while start < text.len() {
            let mut end = match self.pattern.find_at(text, start) {
                // The patterns leave nothing out, so a match begins where the last one ended.
                Some(found) if !found.is_empty() => found.end(),
                _ => text.len(),
            };
            // The published patterns give the last space of a run to the word that follows.
            if end < text.len()
                && let Some((last, char)) = text[start..end].char_indices().next_back()
                && last > 0
                && char.is_whitespace()
                && !(self.lines_end_words && matches!(char, '\r' | '\n'))
            {
                end = start + last;
            }
            emit(&text[start..end])?;
            start = end;
        }
        Ok(())
    }
}

/// The character by which byte-level vocabularies spell `byte`: itself where it is visible, else
/// the next free one from U+0100 on.
fn char_of_byte(byte: u8) -> char {
    let visible = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if visible(byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|byte| !visible(*byte)).count();
    u32::try_from(place).ok().and_then(|place| char::from_u32(0x100 + place)).unwrap_or('\u{100}')
}

/// The inverse of `char_of_byte`.
pub(super) struct ByteOfChar {
    /// `[0x144]`: 256 and the 68 bytes that are not visible.
    bytes: Vec<Option<u8>>,
}

impl ByteOfChar {
    pub(super) fn new() -> Self {
        let mut bytes = vec![None; 0x144];
        for byte in 0..=255_u8 {
            bytes[char_of_byte(byte) as usize] = Some(byte);
        }
        Self { bytes }
    }

    fn get(&self, char: char) -> Option<u8> {
        self.bytes.get(char as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter(name: &str) -> WordSplitter {
        match WordSplitter::named(name) {
            Ok(splitter) => splitter,
            Err(error) => panic!("{name} is supported: {error}"),
        }
    }

    fn split(splitter: &WordSplitter, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let outcome = splitter.words(text, &mut |word| {
            words.push(word.to_owned());
            Ok(())
        });
        assert!(outcome.is_ok());
        words
    }

    fn words(name: &str, text: &str) -> Vec<String> {
        split(&splitter(name), text)
    }

    #[test]
    fn words_are_those_of_the_published_patterns() {
        let text = "I'm  HERE'S  12345\n\n  x\u{a0}\u{3000}y!?\n \t";
        assert_eq!(
            words("gpt-2", text),
            [
                "I", "'m", " ", " HERE", "'", "S", " ", " 12345", "\n\n ", " x", "\u{a0}",
                "\u{3000}", "y", "!?", "\n \t"
            ]
        );
        assert_eq!(
            words("smollm", text),
            [
                "I", "'m", " ", " HERE", "'", "S", "  ", "1", "2", "3", "4", "5", "\n\n ", " x",
                "\u{a0}", "\u{3000}", "y", "!?", "\n \t"
            ]
        );
        assert_eq!(
            words("llama-bpe", text),
            [
                "I",
                "'m",
                " ",
                " HERE",
                "'S",
                " ",
                " ",
                "123",
                "45",
                "\n\n",
                " ",
                " x",
                "\u{a0}",
                "\u{3000}y",
                "!?\n",
                " \t"
            ]
        );
        assert_eq!(words("qwen2", "a  12\r\n \n b"), ["a", " ", " ", "1", "2", "\r\n \n", " b"]);
    }

    #[test]
    fn words_match_the_patterns_with_look_ahead_on_random_text() {
        const GPT2: &str =
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
        const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        let published = [
            ("gpt-2", GPT2.to_owned()),
            ("llama-bpe", LLAMA3.to_owned()),
            ("qwen2", LLAMA3.replace("{1,3}", "")),
        ];
        let characters: Vec<char> =
            "  \t\r\n\u{a0}\u{3000}\u{85}'sSlLrREvdDtmaé語\u{301}1٣½Ⅷ!-_(。👩\u{200d}"
                .chars()
                .collect();
        let mut state = 3_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        for (name, pattern) in published {
            let Ok(pattern) = tokenizers::utils::SysRegex::new(&pattern) else {
                panic!("the pattern of {name} compiles");
            };
            let splitter = splitter(name);
            for _ in 0..5_000 {
                let text: String =
                    (0..random(20)).map(|_| characters[random(characters.len())]).collect();
                let expected: Vec<&str> =
                    pattern.find_iter(&text).map(|(start, end)| &text[start..end]).collect();
                assert_eq!(split(&splitter, &text), expected, "{name}: {text:?}");
            }
        }
    }

    #[test]
    fn bytes_and_their_characters_match_one_to_one() {
        let byte_of_char = ByteOfChar::new();
        for byte in 0..=255 {
            assert_eq!(byte_of_char.get(char_of_byte(byte)), Some(byte));
        }
        assert_eq!(char_of_byte(b' '), 'Ġ');
        assert_eq!(char_of_byte(b'\n'), 'Ċ');
        assert_eq!(byte_of_char.get(' '), None);
        assert_eq!(byte_of_char.get('語'), None);
    }
}
