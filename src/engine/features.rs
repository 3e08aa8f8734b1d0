//! Vectors of many texts from the first layers of a decoder, in steps short enough to stop between
//! any two.

use crate::backend::Backend;
use crate::batch::{Batch, Limits};
use crate::decoder::Pass;
use crate::language_model::LanguageModel;
use crate::state::CHUNK;
use crate::{Error, Result};
pub use frontdesk_kernels::pooling::Pooling;

/// What a text's vector is.
#[derive(Clone, Copy, Debug)]
pub struct FeatureOptions {
    /// Layers to run, from the first on: the residual stream after them is pooled, not normalised.
    pub layers: usize,
    /// How the tokens' vectors become one.
    pub pooling: Pooling,
}

/// A batch of texts in progress; [`LanguageModel::features`] starts one.
pub struct Features {
    batch: Batch,
    options: FeatureOptions,
    /// Which request of the model this is.
    number: u64,
    /// First free KV cache slot.
    base: usize,
    /// `[done texts, hidden]`.
    vectors: Vec<f32>,
}

impl Features {
    pub(crate) fn new(
        texts: Vec<Vec<u32>>,
        options: FeatureOptions,
        number: u64,
        base: usize,
    ) -> Self {
        Self { batch: Batch::new(texts), options, number, base, vectors: Vec::new() }
    }

    /// Runs one pass; false once all texts are done.
    ///
    /// # Errors
    /// `InvalidInput` when another request was started in between.
    pub async fn step<B: Backend>(&mut self, model: &mut LanguageModel<B>) -> Result<bool> {
        if self.batch.done() == self.batch.total() {
            return Ok(false);
        }
        model.check_number(self.number)?;
        let before = self.batch.done();
        let slots = (self.base, model.capacity());
        let plan = self.batch.next_pass(Limits { chunk: CHUNK, slots, may_split: true });
        let (decoder, state) = model.parts();
        let pass = Pass {
            first_wanted: 0,
            ids: &plan.ids,
            slot: plan.slot,
            segments: &plan.segments,
            layers: self.options.layers,
        };
        decoder.forward(state, pass, &mut |_, _, _| {})?;
        let hidden = decoder.config().hidden;
        decoder.pool(state, self.options.pooling, &plan.rows);
        if self.batch.done() > before {
            let mut pooled = vec![0.0; CHUNK * hidden];
            decoder.read_pooled(state, &mut pooled).await?;
            for text in before..self.batch.done() {
                self.vectors.extend_from_slice(&pooled[text % CHUNK * hidden..][..hidden]);
            }
            check_finite(&self.vectors[before * hidden..])?;
        }
        Ok(self.batch.done() < self.batch.total())
    }

    /// Texts that are done, of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.batch.done(), self.batch.total())
    }

    /// The vectors of the texts that are done, `[texts, hidden]`.
    pub fn into_vectors(self) -> Vec<f32> {
        self.vectors
    }
}

/// A vector that is not finite is an error, never an answer.
pub(crate) fn check_finite(values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::invalid_model("the model computed a number that is not finite"))
}
