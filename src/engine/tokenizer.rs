//! Text to token ids and back, built from the metadata of a model file.
//!
//! Whoever writes a message can type `<|im_start|>`; the tokens that steer the model come only from
//! the chat template. So `encode` never makes control tokens, and `encode_prompt` makes them only
//! where the `Prompt` says that the template wrote them.

mod byte_level;
mod scored_merges;
mod special_tokens;
#[cfg(test)]
mod tests;
pub(crate) mod vocabulary;
pub mod word_piece;

use crate::chat_template::Prompt;
use crate::metadata::Metadata;
use crate::{Error, ErrorKind, Result};

use byte_level::{ByteLevelBpe, ByteOfChar, append_spelled_bytes};
use scored_merges::{ScoredMerges, byte_value, spaced};
use special_tokens::{Fragment, SpecialTokens};
use vocabulary::{TokenKind, Vocabulary};

/// Far beyond any context window; longer input is refused before memory is spent on it.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// Turns text into the token ids of one model, and ids into bytes.
pub struct Tokenizer {
    merging: Merging,
    special: SpecialTokens,
    /// Begin text with a space, as the model was trained.
    space_prefix: bool,
    bos: Option<u32>,
    add_bos: bool,
    /// Sorted.
    end_of_generation: Vec<u32>,
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where each token's bytes end: `[tokens]`
    ends: Vec<usize>,
}

/// How characters become tokens.
enum Merging {
    ByteLevel(Box<ByteLevelBpe>),
    Scored(ScoredMerges),
}

impl Tokenizer {
    /// Builds the tokenizer that the model file describes.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        let vocabulary = Vocabulary::from_metadata(metadata)?;
        let model = metadata.string("tokenizer.ggml.model")?;
        let (merging, defaults) = match model {
            "gpt2" => {
                let merging = ByteLevelBpe::from_metadata(metadata, &vocabulary)?;
                let add_bos = byte_level::pre_tokenizer(metadata)? == "llama-bpe";
                (
                    Merging::ByteLevel(Box::new(merging)),
                    Defaults { add_bos, space_prefix: false, bos: None, eos: None },
                )
            }
            "llama" => (
                Merging::Scored(ScoredMerges::from_metadata(metadata, &vocabulary)?),
                Defaults { add_bos: true, space_prefix: true, bos: Some(1), eos: Some(2) },
            ),
            _ => {
                let model: String = model.chars().take(40).collect();
                return Err(Error::new(
                    ErrorKind::UnsupportedModel,
                    format!("the tokenizer {model:?} is not supported"),
                ));
            }
        };
        let in_range = |id: &u32| (*id as usize) < vocabulary.len();
        let bos = vocabulary.special_id(metadata, "bos")?.or(defaults.bos.filter(in_range));
        let add_bos = metadata.bool_or("tokenizer.ggml.add_bos_token", defaults.add_bos)?;
        if add_bos && bos.is_none() {
            return Err(Error::invalid_model(
                "the model wants a beginning-of-sequence token but names none",
            ));
        }
        let space_prefix = matches!(merging, Merging::Scored(_))
            && metadata.bool_or("tokenizer.ggml.add_space_prefix", defaults.space_prefix)?;
        let mut end_of_generation = vocabulary.end_of_generation(metadata)?;
        if end_of_generation.is_empty() {
            end_of_generation.extend(defaults.eos.filter(in_range));
        }
        let (bytes, ends) = token_bytes(&vocabulary, &merging);
        Ok(Self {
            special: SpecialTokens::new(&vocabulary),
            merging,
            space_prefix,
            bos,
            add_bos,
            end_of_generation,
            bytes,
            ends,
        })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.ends.len()
    }

    /// The ids of plain text: no control tokens, no beginning-of-sequence token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        check_length(text)?;
        self.encode_fragments(text, self.special.split_plain(text))
    }

    /// The ids of a prompt, with the control tokens that its template wrote, and a
    /// beginning-of-sequence token if the model wants one and the template did not write it.
    pub fn encode_prompt(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let text = prompt.text();
        check_length(text)?;
        let fragments = self.special.split_prompt(text, |range| prompt.is_trusted(range));
        let mut ids = self.encode_fragments(text, fragments)?;
        if let Some(bos) = self.bos.filter(|_| self.add_bos)
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The beginning-of-sequence token, if the file names one.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Whether prompts begin with that token.
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }

    /// Whether the model ends its reply with this token.
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.end_of_generation.binary_search(&id).is_ok()
    }

    /// The bytes that a token stands for, not always whole characters; none for control tokens
    /// and for ids outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = id.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let end = self.ends.get(id).copied().unwrap_or(0);
        self.bytes.get(start.unwrap_or(0)..end).unwrap_or_default()
    }

    fn encode_fragments(&self, text: &str, fragments: Vec<Fragment>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut after_token = true;
        for fragment in fragments {
            match fragment {
                Fragment::Token(id) => {
                    ids.push(id);
                    after_token = true;
                }
                Fragment::Text(range) => {
                    let part = &text[range];
                    match &self.merging {
                        Merging::ByteLevel(merging) => merging.encode(part, &mut ids)?,
                        Merging::Scored(merging) if self.space_prefix && after_token => {
                            merging.encode(&format!(" {part}"), &mut ids);
                        }
                        Merging::Scored(merging) => merging.encode(part, &mut ids),
                    }
                    after_token = false;
                }
            }
        }
        Ok(ids)
    }
}

/// What holds where the file does not say.
struct Defaults {
    add_bos: bool,
    space_prefix: bool,
    bos: Option<u32>,
    eos: Option<u32>,
}

fn check_length(text: &str) -> Result<()> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the text is {} bytes long; at most {MAX_TEXT_BYTES} are allowed", text.len()),
        ));
    }
    Ok(())
}

fn token_bytes(vocabulary: &Vocabulary<'_>, merging: &Merging) -> (Vec<u8>, Vec<usize>) {
    let byte_of_char = ByteOfChar::new();
    let mut bytes = Vec::new();
    let ends = vocabulary
        .texts
        .iter()
        .zip(&vocabulary.kinds)
        .map(|(text, kind)| {
            match (kind, merging) {
                (TokenKind::Normal, Merging::ByteLevel(_)) => {
                    append_spelled_bytes(text, &mut bytes, &byte_of_char);
                }
                (TokenKind::Normal, Merging::Scored(_)) => {
                    bytes.extend_from_slice(spaced(text).as_bytes());
                }
                (TokenKind::UserDefined, _) => bytes.extend_from_slice(text.as_bytes()),
                (TokenKind::Byte, _) => bytes.extend(byte_value(text)),
                (TokenKind::Unknown | TokenKind::Control | TokenKind::Unused, _) => {}
            }
            bytes.len()
        })
        .collect();
    (bytes, ends)
}
