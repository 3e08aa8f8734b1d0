//! WordPiece (BERT family): text is lower-cased and split into words, words into the longest pieces.

use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer,
};

use super::vocabulary::Vocabulary;
use crate::metadata::Metadata;
use crate::{Error, ErrorKind, Result};

/// Marks the tokens that begin a word in GGUF files.
const WORD_START: &str = "\u{2581}";

/// Marks the tokens that go on with a word, in the vocabularies that models are published with.
const CONTINUATION: &str = "##";

/// Characters of a word that is looked up; a longer one is unknown.
const LONGEST_WORD: usize = 100;

/// Bytes of a text that are looked at: more than the longest words of the most tokens need.
const MOST_BYTES: usize = 128 << 10;

/// Turns text into the token ids of an encoder.
///
/// Text that spells a special token, such as `[SEP]`, stays text.
pub struct WordPieceTokenizer {
    model: WordPiece,
    normalizer: BertNormalizer,
    /// First token of every text.
    begin: u32,
    /// Last token of every text.
    end: u32,
    size: usize,
}

/// The token ids of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedText {
    /// With the first and the last special token.
    pub ids: Vec<u32>,
    /// Whether the text goes on after them.
    pub is_truncated: bool,
}

impl WordPieceTokenizer {
    /// Builds the tokenizer that the model file describes.
    ///
    /// # Errors
    /// `UnsupportedModel` for another kind of tokenizer, `InvalidModel` for a vocabulary that
    /// lacks the unknown token or a special one.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self> {
        if metadata.string("tokenizer.ggml.model")? != "bert" {
            let message = "an encoder needs a WordPiece tokenizer";
            return Err(Error::new(ErrorKind::UnsupportedModel, message));
        }
        let vocabulary = Vocabulary::from_metadata(metadata)?;
        let special = |names: [&str; 2], text: &str| {
            for name in names {
                if let Some(id) = vocabulary.special_id(metadata, name)? {
                    return Ok(id);
                }
            }
            let found = vocabulary.iter().find(|(_, token, _)| *token == text);
            found
                .map(|(id, ..)| id)
                .ok_or_else(|| Error::invalid_model(format!("the vocabulary has no token {text}")))
        };
        let begin = special(["cls", "bos"], "[CLS]")?;
        // GGUF's own spelling of the key.
        let end = special(["seperator", "eos"], "[SEP]")?;
        let unknown = special(["unknown", "unk"], "[UNK]")?;
        let unknown = vocabulary.text(unknown).unwrap_or_default().to_owned();
        let marks_starts = vocabulary.iter().any(|(_, text, _)| text.starts_with(WORD_START));
        let mut vocab = Vocab::with_capacity(vocabulary.len());
        for (id, text, _) in vocabulary.iter() {
            let spelled = match text.strip_prefix(WORD_START) {
                Some(word) => word.to_owned(),
                None if !marks_starts || is_bracketed(text) => text.to_owned(),
                None => format!("{CONTINUATION}{text}"),
            };
            vocab.insert(spelled, id);
        }
        let model = WordPiece::builder()
            .vocab(vocab)
            .unk_token(unknown.clone())
            .continuing_subword_prefix(CONTINUATION.to_owned())
            .max_input_chars_per_word(LONGEST_WORD)
            .build()
            .map_err(|cause| {
                Error::invalid_model("the vocabulary is not usable").with_source(cause)
            })?;
        if model.token_to_id(&unknown).is_none() {
            return Err(Error::invalid_model("the vocabulary has no unknown token"));
        }
        // As published for uncased models: without control characters, accents and capitals,
        // and with spaces around Chinese characters.
        let normalizer = BertNormalizer::new(true, true, None, true);
        Ok(Self { model, normalizer, begin, end, size: vocabulary.len() })
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.size
    }

    /// The ids of a text, at most `longest` of them; no more than the first 128 KiB are looked at.
    pub fn encode(&self, text: &str, longest: usize) -> Result<EncodedText> {
        let cut = (0..=text.len().min(MOST_BYTES)).rev().find(|at| text.is_char_boundary(*at));
        let seen = &text[..cut.unwrap_or(0)];
        let room = longest.saturating_sub(2);
        let mut pieces = self.pieces(seen, room)?;
        let is_truncated = pieces.len() > room || seen.len() < text.len();
        pieces.truncate(room);
        let mut ids = Vec::with_capacity(pieces.len() + 2);
        ids.push(self.begin);
        ids.append(&mut pieces);
        ids.push(self.end);
        Ok(EncodedText { ids, is_truncated })
    }

    /// The ids of the words of `text`, of which no more are looked at once there are over `enough`.
    fn pieces(&self, text: &str, enough: usize) -> Result<Vec<u32>> {
        let failed = |cause| {
            Error::new(ErrorKind::InvalidInput, "the text cannot be tokenized").with_source(cause)
        };
        let mut normalized = NormalizedString::from(text);
        self.normalizer.normalize(&mut normalized).map_err(failed)?;
        let mut words = PreTokenizedString::from(normalized);
        BertPreTokenizer.pre_tokenize(&mut words).map_err(failed)?;
        let mut ids = Vec::new();
        for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            ids.extend(self.model.tokenize(word).map_err(failed)?.iter().map(|token| token.id));
            if ids.len() > enough {
                break;
            }
        }
        Ok(ids)
    }
}

/// Special tokens carry no mark.
fn is_bracketed(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']')
}
