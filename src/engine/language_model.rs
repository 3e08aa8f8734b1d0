//! A decoder with its tokenizer, chat template and KV cache: what tasks work with.

use crate::backend::{Backend, Choice, Chosen, Segment};
use crate::chat_template::{ChatTemplate, Message, Prompt};
use crate::decoder::{Decoder, Pass};
use crate::features::{FeatureOptions, Features};
use crate::loader::Progress;
use crate::model_file::ModelFile;
use crate::state::{CHUNK, State};
use crate::tokenizer::Tokenizer;
use crate::{Error, ErrorKind, Result};
use frontdesk_kernels::quantise::TILE_TOKENS;
use std::io::{Read, Seek};
use std::ops::Range;

/// A model ready for prompts. One sequence is cached; a prompt reuses what it shares with it.
pub struct LanguageModel<B: Backend> {
    decoder: Decoder<B>,
    state: State<B>,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    /// Bytes of the longest token.
    longest_token: usize,
    /// Counts requests; the KV cache belongs to the last one.
    prompts: u64,
}

/// A prompt on its way into the KV cache.
pub struct Prefill {
    prompt: Vec<u32>,
    /// Which prompt of the model this is.
    number: u64,
    cached: usize,
}

impl<B: Backend> LanguageModel<B> {
    /// Loads a GGUF file; the KV cache holds `context_tokens`, or as many as the model was trained
    /// for where that is less.
    pub fn load<R: Read + Seek>(
        reader: R,
        backend: B,
        context_tokens: usize,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let mut file = ModelFile::open(reader)?;
        let tokenizer = Tokenizer::from_metadata(file.metadata())?;
        let template = ChatTemplate::from_metadata(file.metadata())?;
        let mut decoder = Decoder::load(&mut file, backend, progress)?;
        if decoder.vocabulary() < tokenizer.vocab_size() {
            let (rows, tokens) = (decoder.vocabulary(), tokenizer.vocab_size());
            let message = format!("{rows} embeddings for a vocabulary of {tokens}");
            return Err(Error::invalid_model(message));
        }
        let mut state = decoder.state(context_tokens.min(decoder.config().context_length))?;
        // The token that begins every text draws attention from all that follow, with activations far
        // beyond theirs, and the codes of a pass's tokens are finer where it has one ("IntactKV", 2024).
        if let Some(first) = tokenizer.bos().filter(|_| tokenizer.add_bos()) {
            decoder.extend(&mut state, &[first])?;
        }
        let tokens = 0..tokenizer.vocab_size() as u32;
        let longest_token = tokens.map(|id| tokenizer.token_bytes(id).len()).max().unwrap_or(0);
        let longest_token = longest_token.max(1);
        Ok(Self { decoder, state, tokenizer, template, longest_token, prompts: 0 })
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder<B> {
        &self.decoder
    }

    /// Waits for all that was begun, so that what failed is known.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn ready(&mut self) -> Result<()> {
        self.decoder.ready().await
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens the KV cache has room for.
    pub fn capacity(&self) -> usize {
        self.state.capacity()
    }

    /// Tokens in the KV cache.
    pub fn length(&self) -> usize {
        self.state.tokens().len()
    }

    /// Token ids of a conversation, ready for the model's reply.
    ///
    /// Without a chat template the contents are joined by blank lines.
    ///
    /// # Errors
    /// `ContextOverflow`, before any work, for text that cannot fit however it is split.
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>> {
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        if bytes / self.longest_token > self.capacity() {
            return Err(Error::context_overflow(bytes / self.longest_token, self.capacity()));
        }
        let prompt = match &self.template {
            Some(template) => template.render(messages, true)?,
            None => {
                let contents: Vec<&str> = messages.iter().map(|m| m.content.as_str()).collect();
                Prompt::plain(&contents.join("\n\n"))
            }
        };
        self.tokenizer.encode_prompt(&prompt)
    }

    /// Starts a prompt: keeps the part of the KV cache it shares and drops the rest.
    ///
    /// # Errors
    /// `ContextOverflow` when the prompt leaves no room for `reserve` further tokens.
    pub fn begin(&mut self, prompt: Vec<u32>, reserve: usize) -> Result<Prefill> {
        let needed = prompt.len().saturating_add(reserve);
        if needed > self.capacity() {
            return Err(Error::context_overflow(needed, self.capacity()));
        }
        let Some(last) = prompt.len().checked_sub(1) else {
            return Err(Error::new(ErrorKind::InvalidInput, "the prompt is empty"));
        };
        // The last token is computed again even if cached: its logits are what is asked for.
        let shared = self.state.tokens().iter().zip(&prompt[..last]);
        let cached = shared.take_while(|(a, b)| a == b).count();
        self.state.truncate(cached);
        self.decoder.forget_choices();
        self.prompts += 1;
        Ok(Prefill { prompt, number: self.prompts, cached })
    }

    /// Appends the next chunk of a prompt; true once all of it is in, and the logits of its last token
    /// are at index 0.
    ///
    /// # Errors
    /// `InvalidInput` when another prompt was started in between.
    pub fn prefill(&mut self, prefill: &mut Prefill) -> Result<bool> {
        self.check_owner(prefill)?;
        let rest = prefill.prompt.get(self.length()..).unwrap_or_default();
        if !rest.is_empty() {
            // Chunks of about one length: a short last one would unpack all weights for few tokens.
            let chunk = rest.len().div_ceil(rest.len().div_ceil(CHUNK));
            let chunk = chunk.next_multiple_of(TILE_TOKENS).min(CHUNK).min(rest.len());
            self.decoder.extend_to_last(&mut self.state, &rest[..chunk])?;
        }
        Ok(self.length() == prefill.prompt.len())
    }

    /// Tokens of a prompt that are not in the KV cache yet.
    pub fn left(&self, prefill: &Prefill) -> usize {
        prefill.prompt.len().saturating_sub(self.length())
    }

    /// Appends the rest of a prompt and computes in the same pass what [`LanguageModel::branch`] would
    /// after it; all of them are at most [`CHUNK`] tokens together. The logits of the prompt's last token
    /// are at index 0, those of the continuations follow.
    ///
    /// # Errors
    /// As [`LanguageModel::prefill`] and [`Decoder::forward`].
    pub fn prefill_and_branch(
        &mut self,
        prefill: &Prefill,
        continuations: &[&[u32]],
    ) -> Result<()> {
        self.check_owner(prefill)?;
        let slot = self.length();
        let rest = prefill.prompt.get(slot..).unwrap_or_default();
        let runs = [&[rest], continuations].concat();
        self.run(&runs, rest.len().saturating_sub(1), |index| match index {
            0 => 0..slot,
            _ => 0..slot + rest.len(),
        })?;
        self.state.append(rest);
        Ok(())
    }

    /// Makes sure that the KV cache still belongs to this prompt.
    ///
    /// # Errors
    /// `InvalidInput` when another prompt was started in between.
    pub fn check_owner(&self, prefill: &Prefill) -> Result<()> {
        self.check_number(prefill.number)
    }

    /// Makes sure that no other request was started after the one of this number.
    pub(crate) fn check_number(&self, number: u64) -> Result<()> {
        if number == self.prompts {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "another request changed the model's state"))
    }

    /// Appends tokens after the prompt.
    pub fn extend(&mut self, ids: &[u32]) -> Result<()> {
        self.decoder.extend(&mut self.state, ids)
    }

    /// Tokens that may be chosen ahead of the caller; 0 where the caller chooses.
    pub(crate) fn choices_ahead(&self) -> usize {
        self.decoder.choices_ahead()
    }

    /// Begins to choose a token: with the tokens `seen` before the first after the cached ones, by the logits
    /// at index 0, else the next.
    pub(crate) fn choose(&mut self, seen: Option<&[u32]>, choice: Choice) {
        match seen {
            Some(seen) => self.decoder.choose_first(&mut self.state, seen, choice),
            None => self.decoder.choose_next(&mut self.state, choice),
        }
    }

    /// Waits for the oldest choice that was not told yet.
    pub(crate) async fn chosen(&mut self) -> Result<Chosen> {
        self.decoder.chosen().await
    }

    /// Remembers a chosen token over which a pass was run.
    pub(crate) fn append_chosen(&mut self, id: u32) {
        self.state.append(&[id]);
    }

    /// Drops what follows `length` cached tokens.
    pub fn truncate(&mut self, length: usize) {
        self.state.truncate(length);
    }

    /// Computes several continuations of the cached tokens in one pass, each as if it stood alone,
    /// and remembers none of them; at most [`CHUNK`] tokens together.
    ///
    /// # Errors
    /// As [`Decoder::forward`].
    pub fn branch(&mut self, continuations: &[&[u32]]) -> Result<()> {
        let slot = self.length();
        self.run(continuations, 0, |_| 0..slot)
    }

    /// Runs one pass over runs of tokens, each a segment with the context of its index.
    fn run(
        &mut self,
        runs: &[&[u32]],
        first_wanted: usize,
        context: impl Fn(usize) -> Range<usize>,
    ) -> Result<()> {
        let segment =
            |(index, ids): (usize, &&[u32])| Segment { tokens: ids.len(), context: context(index) };
        let pass = Pass {
            ids: &runs.concat(),
            slot: self.length(),
            segments: &runs.iter().enumerate().map(segment).collect::<Vec<_>>(),
            layers: self.decoder.config().layers,
            first_wanted,
        };
        self.decoder.forward(&mut self.state, pass, &mut |_, _, _| {})
    }

    /// Starts to compute one vector for each text's token ids.
    ///
    /// The cached prompt stays as it is, except where a text is longer than the room after it: then
    /// it is dropped, and the next prompt is computed from its start.
    ///
    /// # Errors
    /// `InvalidInput` for an empty text, unknown ids or a number of layers that the model has not;
    /// `ContextOverflow` for a text longer than the KV cache.
    pub fn features(&mut self, texts: Vec<Vec<u32>>, options: FeatureOptions) -> Result<Features> {
        let (layers, most) = (options.layers, self.decoder.config().layers);
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if layers == 0 || layers > most {
            return invalid(format!("{layers} layers; the model has 1 to {most}"));
        }
        if let Some(index) = texts.iter().position(Vec::is_empty) {
            return invalid(format!("text {index} has no tokens"));
        }
        let vocabulary = self.decoder.vocabulary();
        if let Some(id) = texts.iter().flatten().find(|&&id| id as usize >= vocabulary) {
            return invalid(format!("token {id} is not in the vocabulary"));
        }
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if longest > self.capacity() {
            return Err(Error::context_overflow(longest, self.capacity()));
        }
        if longest > self.capacity() - self.length() {
            self.state.truncate(0);
        }
        self.prompts += 1;
        Ok(Features::new(texts, options, self.prompts, self.length()))
    }

    /// The decoder and its state, for requests that run passes of their own.
    pub(crate) fn parts(&mut self) -> (&mut Decoder<B>, &mut State<B>) {
        (&mut self.decoder, &mut self.state)
    }

    /// Logits after some tokens of the pass last run, by their index in it:
    /// `[indices, vocabulary]`; at most [`LOGIT_ROWS`](crate::state::LOGIT_ROWS) at once.
    pub async fn logits(&mut self, indices: &[usize], into: &mut Vec<f32>) -> Result<()> {
        self.decoder.logits(&mut self.state, indices, into).await
    }
}

impl Prefill {
    /// Tokens of the prompt.
    pub fn total(&self) -> usize {
        self.prompt.len()
    }

    /// The prompt.
    pub(crate) fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// Tokens that were in the KV cache already.
    pub fn cached(&self) -> usize {
        self.cached
    }
}
