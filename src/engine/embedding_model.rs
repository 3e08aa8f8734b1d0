//! An encoder with its tokenizer: texts become unit vectors, many in a pass, in short steps.

use crate::backend::Backend;
use crate::batch::{Batch, Limits};
use crate::encoder::{Encoder, PASS_TOKENS, Tap};
use crate::features::check_finite;
use crate::loader::Progress;
use crate::model_file::ModelFile;
use crate::tokenizer::word_piece::WordPieceTokenizer;
use crate::{Error, Result};
use std::io::{Read, Seek};

/// A model ready for texts.
pub struct EmbeddingModel<B: Backend> {
    encoder: Encoder<B>,
    tokenizer: WordPieceTokenizer,
}

/// A text and what was read of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Of length 1 at each tap: `[taps, hidden]`.
    pub vector: Vec<f32>,
    /// Tokens read, the first and the last special one included.
    pub tokens: usize,
    /// Whether the text was longer, and its end was not read.
    pub is_truncated: bool,
}

/// A batch of texts in progress; [`EmbeddingModel::embed`] starts one.
pub struct Embeddings {
    batch: Batch,
    taps: Vec<Tap>,
    /// Tokens of each text, and whether that is not all of it.
    lengths: Vec<(usize, bool)>,
    done: Vec<Embedding>,
}

impl<B: Backend> EmbeddingModel<B> {
    /// Loads a GGUF file of an encoder.
    ///
    /// # Errors
    /// As those of [`LanguageModel::load`](crate::language_model::LanguageModel::load).
    pub fn load<R: Read + Seek>(reader: R, backend: B, progress: Progress<'_>) -> Result<Self> {
        let mut file = ModelFile::open(reader)?;
        let tokenizer = WordPieceTokenizer::from_metadata(file.metadata())?;
        let encoder = Encoder::load(&mut file, backend, progress)?;
        if encoder.vocabulary() < tokenizer.vocab_size() {
            let (rows, tokens) = (encoder.vocabulary(), tokenizer.vocab_size());
            let message = format!("{rows} embeddings for a vocabulary of {tokens}");
            return Err(Error::invalid_model(message));
        }
        Ok(Self { encoder, tokenizer })
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder<B> {
        &self.encoder
    }

    /// Waits for all that was begun, so that what failed is known.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn ready(&mut self) -> Result<()> {
        self.encoder.ready().await
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &WordPieceTokenizer {
        &self.tokenizer
    }

    /// Starts to embed texts. A text longer than the model reads, at most [`PASS_TOKENS`] tokens,
    /// loses its end, and its embedding says so.
    pub fn embed<S: AsRef<str>>(&self, texts: &[S]) -> Result<Embeddings> {
        self.features(texts, vec![self.encoder.tap()])
    }

    /// As [`EmbeddingModel::embed`], with a vector of each text for each of `taps`; the layers after
    /// the last of them are not run.
    pub fn features<S: AsRef<str>>(&self, texts: &[S], taps: Vec<Tap>) -> Result<Embeddings> {
        self.encoder.check_taps(&taps)?;
        let longest = self.encoder.longest_text();
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for text in texts {
            let encoded = self.tokenizer.encode(text.as_ref(), longest)?;
            lengths.push((encoded.ids.len(), encoded.is_truncated));
            ids.push(encoded.ids);
        }
        Ok(Embeddings { batch: Batch::new(ids), taps, lengths, done: Vec::new() })
    }
}

impl Embeddings {
    /// Runs one pass; false once all texts are done.
    pub async fn step<B: Backend>(&mut self, model: &mut EmbeddingModel<B>) -> Result<bool> {
        let limits = Limits { chunk: PASS_TOKENS, slots: (0, PASS_TOKENS), may_split: false };
        let plan = self.batch.next_pass(limits);
        if plan.ids.is_empty() {
            return Ok(false);
        }
        let tokens: Vec<usize> = plan.segments.iter().map(|segment| segment.tokens).collect();
        model.encoder.forward(&plan.ids, &tokens, &self.taps)?;
        let hidden = model.encoder.config().hidden;
        let first = self.done.len();
        let lengths = &self.lengths[first..first + tokens.len()];
        let room = hidden * self.taps.len();
        self.done.extend(lengths.iter().map(|&(tokens, is_truncated)| Embedding {
            vector: Vec::with_capacity(room),
            tokens,
            is_truncated,
        }));
        let mut vectors = vec![0.0; tokens.len() * hidden];
        for tap in 0..self.taps.len() {
            model.encoder.read(tap, &mut vectors).await?;
            check_finite(&vectors)?;
            for (text, vector) in self.done[first..].iter_mut().zip(vectors.chunks_exact(hidden)) {
                text.vector.extend(normalised(vector));
            }
        }
        Ok(self.batch.done() < self.batch.total())
    }

    /// Texts that are done, of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.batch.done(), self.batch.total())
    }

    /// The texts that are done, in order.
    pub fn into_embeddings(self) -> Vec<Embedding> {
        self.done
    }
}

/// The vector of length 1 in the same direction; zero stays zero.
fn normalised(vector: &[f32]) -> impl Iterator<Item = f32> {
    let squares: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    let scale = (1.0 / squares.sqrt().max(1e-12)) as f32;
    vector.iter().map(move |x| x * scale)
}
