//! The forward pass of decoder models, one for every architecture and backend.

use crate::backend::{
    AttentionSpec, Backend, Choice, Chosen, Expansion, HeadTransform, Pooling, RunStart, Segment,
};
use crate::config::Config;
use crate::loader::Progress;
use crate::model_file::ModelFile;
use crate::state::{CHUNK, LOGIT_ROWS, Scratch, State};
use crate::weights::{LayerWeights, Weights};
use crate::{Error, ErrorKind, Result};
use std::io::{Read, Seek};
use std::ops::Range;

/// A decoder model on a backend.
pub struct Decoder<B: Backend> {
    config: Config,
    weights: Weights<B>,
    backend: B,
}

/// A named place in the forward pass, where backends can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Scaled embeddings.
    Embedded,
    /// The residual stream after a layer's attention was added.
    AfterAttention(usize),
    /// The residual stream after a layer.
    AfterLayer(usize),
}

/// What one forward pass carries.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The tokens in flight, 1 to [`CHUNK`].
    pub ids: &'a [u32],
    /// KV cache slot of the first; the others follow.
    pub slot: usize,
    /// Which of them belong together, in order; a context lies before its segment's own slots.
    pub segments: &'a [Segment],
    /// Layers to run, from the first on; there are logits after all of them only.
    pub layers: usize,
    /// The first token whose logits are wanted, which are then at index 0: the last layer computes only
    /// keys and values of those before. The context of this token's segment ends where its own slots
    /// begin.
    pub first_wanted: usize,
}

/// Sees the residual stream, `[tokens, hidden]`, at each checkpoint.
pub type Observer<'a, B> = &'a mut dyn FnMut(Checkpoint, &mut B, &<B as Backend>::Tensor);

impl<B: Backend> Decoder<B> {
    /// Loads the model of `file` to `backend`.
    pub fn load<R: Read + Seek>(
        file: &mut ModelFile<R>,
        mut backend: B,
        progress: Progress<'_>,
    ) -> Result<Self> {
        let config = Config::from_metadata(file.metadata())?;
        let weights = Weights::load(file, &config, &mut backend, progress)?;
        Ok(Self { config, weights, backend })
    }

    /// Sizes and traits.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.weights.vocabulary
    }

    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.weights.parameters
    }

    /// Bytes the backend holds.
    pub fn bytes(&self) -> usize {
        self.backend.bytes()
    }

    /// Waits for all that was begun, so that what failed is known.
    ///
    /// # Errors
    /// Those of the backend.
    pub async fn ready(&mut self) -> Result<()> {
        self.backend.ready().await
    }

    /// Where the model is.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// Empty state for `capacity` positions.
    ///
    /// # Errors
    /// `InvalidInput` for zero or more positions than the model was trained for.
    pub fn state(&mut self, capacity: usize) -> Result<State<B>> {
        let trained = self.config.context_length;
        if capacity == 0 || capacity > trained {
            let message = format!("{capacity} tokens of context; the model takes 1 to {trained}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        State::new(&self.config, self.weights.vocabulary, capacity, &mut self.backend)
    }

    /// Appends at most [`CHUNK`] tokens to the state.
    ///
    /// # Errors
    /// `ContextOverflow` when they do not fit, `InvalidInput` for none, too many or unknown ids.
    pub fn extend(&mut self, state: &mut State<B>, ids: &[u32]) -> Result<()> {
        self.extend_observed(state, ids, &mut |_, _, _| {})
    }

    /// As [`Decoder::extend`], showing the residual stream at each checkpoint.
    pub fn extend_observed(
        &mut self,
        state: &mut State<B>,
        ids: &[u32],
        observer: Observer<'_, B>,
    ) -> Result<()> {
        self.append(state, (ids, 0), observer)
    }

    /// As [`Decoder::extend`], but for the logits of the last token alone, at index 0.
    pub fn extend_to_last(&mut self, state: &mut State<B>, ids: &[u32]) -> Result<()> {
        self.append(state, (ids, ids.len().saturating_sub(1)), &mut |_, _, _| {})
    }

    fn append(
        &mut self,
        state: &mut State<B>,
        (ids, first_wanted): (&[u32], usize),
        observer: Observer<'_, B>,
    ) -> Result<()> {
        let slot = state.tokens.len();
        let segments = &[Segment { tokens: ids.len(), context: 0..slot }];
        let layers = self.config.layers;
        self.forward(state, Pass { ids, slot, segments, layers, first_wanted }, observer)?;
        state.append(ids);
        Ok(())
    }

    /// Runs a pass over any segments; what the state remembers stays as it is.
    ///
    /// # Errors
    /// `ContextOverflow` when the slots do not suffice, `InvalidInput` for no tokens, too many,
    /// unknown ids, or segments and layers that cannot be.
    pub fn forward(
        &mut self,
        state: &mut State<B>,
        pass: Pass<'_>,
        observer: Observer<'_, B>,
    ) -> Result<()> {
        self.check(state, pass)?;
        let cursor = &mut state.scratch.cursor;
        self.backend.seek(cursor, pass.ids, pass.slot, pass.segments);
        self.run(state, (pass.layers, pass.first_wanted), observer);
        Ok(())
    }

    /// Runs the first of the layers over what the cursor points at.
    fn run(
        &mut self,
        state: &mut State<B>,
        (layers, first_wanted): (usize, usize),
        observer: Observer<'_, B>,
    ) {
        let Self { config, weights, backend } = self;
        let State { caches, global_rope, local_rope, scratch, .. } = state;
        let Scratch { cursor, residual, .. } = scratch;
        backend.embed(cursor, &weights.embedding, config.embedding_scale, residual);
        observer(Checkpoint::Embedded, backend, residual);
        for (index, (layer, cache)) in weights.layers[..layers].iter().zip(caches).enumerate() {
            let kind = config.layer(index);
            let rope = match (kind.window, &*local_rope) {
                (Some(_), Some(local)) => local,
                _ => &*global_rope,
            };
            let first_wanted = if index + 1 == layers { first_wanted } else { 0 };
            let pass = LayerPass { config, layer, window: kind.window, rope, first_wanted };
            pass.attention(backend, scratch, cache);
            observer(Checkpoint::AfterAttention(index), backend, &scratch.residual);
            pass.feed_forward(backend, scratch);
            observer(Checkpoint::AfterLayer(index), backend, &scratch.residual);
        }
    }

    /// Tokens that may be chosen ahead of the caller; 0 where the caller chooses.
    pub(crate) fn choices_ahead(&self) -> usize {
        self.backend.choices_ahead()
    }

    /// Begins a run of choices with the token after the cached ones, by the logits at index 0 of the pass last
    /// run; the penalty is on the `seen` ones.
    pub(crate) fn choose_first(&mut self, state: &mut State<B>, seen: &[u32], choice: Choice) {
        self.record_logits(state, &[0]);
        let start = RunStart { slot: state.tokens.len(), seen };
        let Scratch { cursor, logits, .. } = &mut state.scratch;
        self.backend.choose(cursor, Some(start), logits, choice);
    }

    /// Runs a pass over the token that was chosen last, whatever it is, and begins to choose the next one.
    pub(crate) fn choose_next(&mut self, state: &mut State<B>, choice: Choice) {
        self.run(state, (self.config.layers, 0), &mut |_, _, _| {});
        self.record_logits(state, &[0]);
        let Scratch { cursor, logits, .. } = &mut state.scratch;
        self.backend.choose(cursor, None, logits, choice);
    }

    /// Waits for the oldest choice that was not told yet.
    pub(crate) async fn chosen(&mut self) -> Result<Chosen> {
        self.backend.chosen().await
    }

    /// Drops the choices that were not told yet.
    pub(crate) fn forget_choices(&mut self) {
        self.backend.forget_choices();
    }

    fn record_logits(&mut self, state: &mut State<B>, indices: &[usize]) {
        let Self { config, weights, backend } = self;
        let Scratch { cursor, residual, logits, .. } = &mut state.scratch;
        let output = weights.output.as_ref().unwrap_or(&weights.embedding);
        let norm = (&weights.output_norm, config.epsilon);
        backend.logits(cursor, (residual, indices), norm, output, logits);
    }

    /// Logits after some tokens of the pass last run, by their index in it:
    /// `[indices, vocabulary]`.
    ///
    /// # Errors
    /// `InvalidInput` for none, more than [`LOGIT_ROWS`], or an index that no pass reaches.
    pub async fn logits(
        &mut self,
        state: &mut State<B>,
        indices: &[usize],
        into: &mut Vec<f32>,
    ) -> Result<()> {
        let count = indices.len();
        if count == 0 || count > LOGIT_ROWS || indices.iter().any(|&index| index >= CHUNK) {
            let message = format!("logits of {count} tokens; 1 to {LOGIT_ROWS} are possible");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.record_logits(state, indices);
        into.resize(count * self.weights.vocabulary, 0.0);
        self.backend.read(&state.scratch.logits, into).await
    }

    /// Pools the segments of the pass last run, after its last layer, into rows of the state's
    /// `[CHUNK, hidden]` vectors; a segment with context goes on with what its row holds.
    pub(crate) fn pool(&mut self, state: &mut State<B>, pooling: Pooling, rows: &[usize]) {
        let Scratch { cursor, residual, pooled, .. } = &mut state.scratch;
        self.backend.pool(cursor, pooling, residual, rows, pooled);
    }

    /// Copies the vectors that [`Decoder::pool`] made, from row 0 on.
    pub(crate) async fn read_pooled(&mut self, state: &State<B>, into: &mut [f32]) -> Result<()> {
        self.backend.read(&state.scratch.pooled, into).await
    }

    fn check(&self, state: &State<B>, pass: Pass<'_>) -> Result<()> {
        let Pass { ids, slot, segments, layers, first_wanted } = pass;
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        let mut tokens: usize = 0;
        let mut is_sound = |segment: &Segment| {
            let Range { start, end } = segment.context;
            let is_before = start <= end && end <= slot.saturating_add(tokens);
            tokens = tokens.saturating_add(segment.tokens);
            segment.tokens > 0 && is_before
        };
        let are_sound = segments.iter().all(&mut is_sound);
        if ids.is_empty() || ids.len() > CHUNK {
            return invalid(format!("{} tokens in one pass; 1 to {CHUNK} are possible", ids.len()));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= self.weights.vocabulary) {
            return invalid(format!("token {id} is not in the vocabulary"));
        }
        if slot.saturating_add(ids.len()) > state.capacity {
            return Err(Error::context_overflow(slot.saturating_add(ids.len()), state.capacity));
        }
        let mut before = 0;
        let is_cut_well = segments.iter().any(|segment| {
            let own = before..before + segment.tokens;
            before = own.end;
            own.contains(&first_wanted)
                && (first_wanted == own.start || segment.context.end == slot + own.start)
        });
        if !are_sound || tokens != ids.len() || !is_cut_well {
            return invalid("the segments of a pass do not fit its tokens".to_owned());
        }
        let all = self.config.layers;
        if layers == 0 || layers > all {
            return invalid(format!("{layers} layers; the model has 1 to {all}"));
        }
        Ok(())
    }
}

/// One layer over the tokens in flight.
struct LayerPass<'a, B: Backend> {
    config: &'a Config,
    layer: &'a LayerWeights<B>,
    window: Option<usize>,
    rope: &'a B::Rope,
    /// Go on with the tokens from this one on, once all keys and values are there.
    first_wanted: usize,
}

impl<B: Backend> LayerPass<'_, B> {
    fn attention(&self, backend: &mut B, scratch: &mut Scratch<B>, cache: &mut B::Cache) {
        let Self { config, layer, .. } = self;
        let epsilon = config.epsilon;
        let norm = Some((&layer.attention_norm, epsilon));
        let Scratch { cursor, residual, query, key, value, attended, .. } = scratch;
        let transform = |norm| HeadTransform { norm, rope: Some(self.rope) };
        let (query_norm, key_norm) = match &layer.qk_norm {
            Some((query, key)) => (Some((query, epsilon)), Some((key, epsilon))),
            None => (None, None),
        };
        let mut outputs =
            [(&layer.query, &mut *query), (&layer.key, &mut *key), (&layer.value, &mut *value)];
        let wanted = if self.first_wanted > 0 { &mut outputs[1..] } else { &mut outputs[..] };
        backend.project(cursor, residual, norm, wanted);
        backend.write_cache(cursor, transform(key_norm), key, value, cache);
        if self.first_wanted > 0 {
            backend.keep_from(cursor, self.first_wanted, residual);
            backend.project(cursor, residual, norm, &mut [(&layer.query, &mut *query)]);
        }
        let spec = AttentionSpec {
            heads: config.heads,
            scale: config.attention_scale,
            window: self.window,
            causal: true,
        };
        backend.attention(cursor, (spec, transform(query_norm)), query, cache, attended);
        let norm = layer.sandwich_norms.as_ref().map(|(norm, _)| (norm, epsilon));
        backend.add_product(cursor, attended, &layer.attention_output, norm, residual);
    }

    fn feed_forward(&self, backend: &mut B, scratch: &mut Scratch<B>) {
        let Self { config, layer, .. } = self;
        let Scratch { cursor, residual, wide, .. } = scratch;
        let norm = Some((&layer.feed_forward_norm, config.epsilon));
        let expansion =
            Expansion { activation: config.activation, gate: Some(&layer.gate), up: &layer.up };
        backend.expand(cursor, residual, norm, expansion, wide);
        let norm = layer.sandwich_norms.as_ref().map(|(_, norm)| (norm, config.epsilon));
        backend.add_product(cursor, wide, &layer.down, norm, residual);
    }
}
