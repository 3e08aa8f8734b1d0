//! Generation token by token, in steps short enough to stop between any two.

use crate::backend::{Backend, Chosen};
use crate::language_model::{LanguageModel, Prefill};
use crate::sampler::{Sampler, SamplerOptions, best_token, log_sum_exp, top_log_probabilities};
use crate::text_stream::TextStream;
use crate::{Error, ErrorKind, Result};

/// Most alternatives reported for a token.
pub const MOST_TOP_LOG_PROBABILITIES: usize = 20;

/// What to generate.
#[derive(Clone, Debug, Default)]
pub struct GenerateOptions {
    /// Tokens at the most.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Strings that end the text and are not part of it.
    pub stop: Vec<String>,
    /// Alternatives to report for each token; none reports no log-probabilities.
    pub top_log_probabilities: Option<usize>,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its turn, or a stop string was reached.
    Stop,
    /// The limit of tokens or the end of the KV cache was reached.
    Length,
}

/// A chosen token and its alternatives, with natural log-probabilities of the model itself:
/// before penalty, temperature and truncation.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogProbability {
    /// The token.
    pub id: u32,
    /// Its log-probability.
    pub log_probability: f32,
    /// Alternatives, most likely first.
    pub top: Vec<(u32, f32)>,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Part of the prompt is in: tokens so far, of how many.
    Prefill(usize, usize),
    /// A token was chosen; the text is what is certain of it now, whole characters.
    Token {
        /// New text; may be empty.
        text: String,
        /// Where asked for.
        log_probability: Option<TokenLogProbability>,
    },
    /// Generation is over; the text is what was held back.
    Finished {
        /// Remaining text.
        text: String,
        /// Why.
        reason: FinishReason,
    },
}

/// One generation in progress.
pub struct Generation {
    prefill: Prefill,
    prefilled: bool,
    options: GenerateOptions,
    sampler: Sampler,
    stream: TextStream,
    logits: Vec<f32>,
    /// Logits after the sampler's penalty.
    adjusted: Vec<f32>,
    /// Chosen tokens; the last one is not in the KV cache yet.
    chosen: Vec<u32>,
    /// The chosen token over which no pass was run yet, as far as the model knows.
    unread: Option<u32>,
    /// Whether a backend has begun to choose, and how many tokens are under way.
    has_begun: bool,
    under_way: usize,
    /// Tokens of the prompt.
    prompt_tokens: usize,
    log_probability_sum: f64,
    /// Tokens in the sum: the chosen ones, and the one that ended the turn.
    judged: usize,
    finished: Option<FinishReason>,
}

impl Generation {
    /// Starts from a prompt's token ids.
    pub fn new<B: Backend>(
        model: &mut LanguageModel<B>,
        prompt: Vec<u32>,
        options: GenerateOptions,
    ) -> Result<Self> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if options.max_tokens == 0 {
            return invalid("max_tokens must be at least 1".to_owned());
        }
        if options.top_log_probabilities > Some(MOST_TOP_LOG_PROBABILITIES) {
            return invalid(format!("top_logprobs must be at most {MOST_TOP_LOG_PROBABILITIES}"));
        }
        let prompt_tokens = prompt.len();
        Ok(Self {
            sampler: Sampler::new(options.sampler.clone())?,
            stream: TextStream::new(options.stop.clone())?,
            prefill: model.begin(prompt, 1)?,
            prefilled: false,
            options,
            logits: Vec::new(),
            adjusted: Vec::new(),
            chosen: Vec::new(),
            unread: None,
            has_begun: false,
            under_way: 0,
            prompt_tokens,
            log_probability_sum: 0.0,
            judged: 0,
            finished: None,
        })
    }

    /// Does the next piece of work: a chunk of the prompt, or one token.
    pub async fn step<B: Backend>(&mut self, model: &mut LanguageModel<B>) -> Result<Step> {
        if !self.prefilled {
            self.prefilled = model.prefill(&mut self.prefill)?;
            return Ok(Step::Prefill(model.length(), self.prefill.total()));
        }
        if let Some(reason) = self.finished {
            return Ok(Step::Finished { text: self.stream.finish(), reason });
        }
        model.check_owner(&self.prefill)?;
        let chosen = match model.choices_ahead() {
            0 => self.choose(model).await?,
            ahead => self.chosen_ahead(model, ahead).await?,
        };
        let Chosen { id, log_probability, top } = chosen;
        self.log_probability_sum += f64::from(log_probability);
        self.judged += 1;
        if model.tokenizer().is_end_of_generation(id) {
            self.finished = Some(FinishReason::Stop);
            let text = self.stream.finish();
            return Ok(Step::Finished { text, reason: FinishReason::Stop });
        }
        self.chosen.push(id);
        self.unread = Some(id);
        let piece = self.stream.push(model.tokenizer().token_bytes(id));
        let is_full = model.length() >= model.capacity();
        if piece.stopped {
            self.finished = Some(FinishReason::Stop);
        } else if self.chosen.len() >= self.options.max_tokens || is_full {
            self.finished = Some(FinishReason::Length);
        }
        let asked = self.options.top_log_probabilities;
        let log_probability = asked.map(|_| TokenLogProbability { id, log_probability, top });
        Ok(Step::Token { text: piece.text, log_probability })
    }

    /// Goes on with another model of the same file, which reads the prompt and the chosen tokens first.
    ///
    /// # Errors
    /// As [`Generation::new`].
    pub fn resume<B: Backend>(&mut self, model: &mut LanguageModel<B>) -> Result<()> {
        let prompt = [&self.prefill.prompt()[..self.prompt_tokens], &self.chosen].concat();
        self.prefill = model.begin(prompt, 1)?;
        self.prefilled = false;
        self.unread = None;
        self.has_begun = false;
        self.under_way = 0;
        self.sampler.rewind(self.judged);
        Ok(())
    }

    /// Tokens of the prompt, and how many of them were cached.
    pub fn prompt_tokens(&self) -> (usize, usize) {
        (self.prompt_tokens, self.prefill.cached().min(self.prompt_tokens))
    }

    /// Tokens chosen so far.
    pub fn tokens(&self) -> usize {
        self.chosen.len()
    }

    /// Geometric mean of the chosen tokens' probabilities under the model, the one that ends the
    /// turn included; 0 before the first.
    pub fn confidence(&self) -> f64 {
        match self.judged {
            0 => 0.0,
            count => (self.log_probability_sum / count as f64).exp(),
        }
    }

    /// The next token from a backend that chooses up to `ahead` of them before they are told.
    async fn chosen_ahead<B: Backend>(
        &mut self,
        model: &mut LanguageModel<B>,
        ahead: usize,
    ) -> Result<Chosen> {
        // The pass over it was run, or is run now.
        if let Some(id) = self.unread.take() {
            model.append_chosen(id);
        }
        let left = self.options.max_tokens - self.chosen.len();
        let room = model.capacity() + 1 - model.length();
        while self.under_way < ahead.min(left).min(room) {
            let seen = (!self.has_begun).then_some(&self.chosen[..]);
            let alternatives = self.options.top_log_probabilities.unwrap_or(0);
            model.choose(seen, self.sampler.choice(alternatives));
            self.has_begun = true;
            self.under_way += 1;
        }
        self.under_way -= 1;
        model.chosen().await
    }

    /// Chooses the next token from all logits.
    async fn choose<B: Backend>(&mut self, model: &mut LanguageModel<B>) -> Result<Chosen> {
        if let Some(id) = self.unread.take() {
            model.extend(&[id])?;
        }
        model.logits(&[0], &mut self.logits).await?;
        best_token(&self.logits)?;
        let log_sum = log_sum_exp(&self.logits);
        let top = self.options.top_log_probabilities.unwrap_or(0);
        let top = top_log_probabilities(&self.logits, log_sum, top);
        self.adjusted.clone_from(&self.logits);
        let id = self.sampler.sample(&mut self.adjusted, &self.chosen)?;
        Ok(Chosen { id, log_probability: self.logits[id as usize] - log_sum, top })
    }
}
