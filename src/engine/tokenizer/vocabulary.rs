//! The vocabulary as the model file lists it: texts, kinds and special ids, all checked.

use std::collections::HashSet;

use crate::metadata::Metadata;
use crate::{Error, Result};

/// No published vocabulary comes near this; a larger one is a lie or a mistake.
const MAX_TOKENS: usize = 1 << 21;

/// No published token is longer than a few hundred bytes.
const MAX_TOKEN_BYTES: usize = 1 << 14;

/// Tokens that end a reply, by name: files often mark only one of them as `eos`.
const END_OF_GENERATION: &[&str] = &[
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<end_of_utterance>",
    "<eos>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
];

/// Names that end a reply only where the file itself calls them control tokens: `</s>` closes a
/// sentence in some vocabularies and struck-out HTML in others; the rest pad or separate files.
const END_OF_GENERATION_IF_CONTROL: &[&str] = &[
    "</s>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
];

/// What a token is for, as the model file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A piece of text.
    Normal,
    /// Stands for text that has no token.
    Unknown,
    /// Steers the model (`<|im_start|>`); never made from plain text and never shown.
    Control,
    /// A piece of text that is always split out first.
    UserDefined,
    /// A reserved place without meaning.
    Unused,
    /// One raw byte, spelled `<0x0A>`.
    Byte,
}

/// The token lists of a model file, borrowed from its metadata.
pub(crate) struct Vocabulary<'m> {
    /// Spelling of each token, as in the file: `[tokens]`.
    pub(crate) texts: Vec<&'m str>,
    /// `[tokens]`
    pub(crate) kinds: Vec<TokenKind>,
}

impl<'m> Vocabulary<'m> {
    pub(crate) fn from_metadata(metadata: &'m Metadata) -> Result<Self> {
        const TOKENS: &str = "tokenizer.ggml.tokens";
        const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
        let texts = metadata.strings(TOKENS)?;
        if texts.is_empty() || texts.len() > MAX_TOKENS {
            return Err(Error::invalid_model(format!(
                "{TOKENS} lists {} tokens; expected 1 to {MAX_TOKENS}",
                texts.len()
            )));
        }
        let mut seen = HashSet::with_capacity(texts.len());
        for (id, text) in texts.iter().enumerate() {
            if text.len() > MAX_TOKEN_BYTES {
                return Err(Error::invalid_model(format!(
                    "token {id} is {} bytes long; at most {MAX_TOKEN_BYTES} are allowed",
                    text.len()
                )));
            }
            if !text.is_empty() && !seen.insert(*text) {
                return Err(Error::invalid_model(format!("token {id} is in {TOKENS} twice")));
            }
        }
        let mut kinds = if metadata.contains(TOKEN_TYPE) {
            metadata.i32s(TOKEN_TYPE)?.into_iter().map(kind).collect::<Result<Vec<_>>>()?
        } else {
            vec![TokenKind::Normal; texts.len()]
        };
        if kinds.len() != texts.len() {
            return Err(Error::invalid_model(format!(
                "{TOKEN_TYPE} has {} entries for {} tokens",
                kinds.len(),
                texts.len()
            )));
        }
        for (kind, text) in kinds.iter_mut().zip(&texts) {
            // Converters sometimes list these as text; as text, a user could type them.
            if END_OF_GENERATION.contains(text) {
                *kind = TokenKind::Control;
            }
        }
        Ok(Self { texts, kinds })
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Every token as `(id, text, kind)`, without those that have no text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &'m str, TokenKind)> {
        (0_u32..)
            .zip(&self.texts)
            .zip(&self.kinds)
            .filter(|((_, text), _)| !text.is_empty())
            .map(|((id, text), kind)| (id, *text, *kind))
    }

    /// The spelling of token `id`.
    pub(crate) fn text(&self, id: u32) -> Option<&'m str> {
        self.texts.get(id as usize).copied()
    }

    /// A special id of the file, such as that of `bos`; an id outside the vocabulary is an error.
    pub(crate) fn special_id(&self, metadata: &Metadata, name: &str) -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        if !metadata.contains(&key) {
            return Ok(None);
        }
        let id = metadata.u32(&key)?;
        if id as usize >= self.len() {
            return Err(Error::invalid_model(format!(
                "{key} is {id}, outside the vocabulary of {} tokens",
                self.len()
            )));
        }
        Ok(Some(id))
    }

    /// The ids that end a reply, sorted.
    pub(crate) fn end_of_generation(&self, metadata: &Metadata) -> Result<Vec<u32>> {
        let mut ids: Vec<u32> = self
            .iter()
            .filter(|(_, text, kind)| {
                *kind == TokenKind::Control
                    && (END_OF_GENERATION.contains(text)
                        || END_OF_GENERATION_IF_CONTROL.contains(text))
            })
            .map(|(id, _, _)| id)
            .collect();
        for name in ["eos", "eot", "eom"] {
            ids.extend(self.special_id(metadata, name)?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn kind(number: i32) -> Result<TokenKind> {
    Ok(match number {
        1 => TokenKind::Normal,
        2 => TokenKind::Unknown,
        3 => TokenKind::Control,
        4 => TokenKind::UserDefined,
        0 | 5 => TokenKind::Unused,
        6 => TokenKind::Byte,
        _ => {
            return Err(Error::invalid_model(format!(
                "{number} is not a token type; expected 0 to 6"
            )));
        }
    })
}
