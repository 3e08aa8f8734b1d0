//! Tasks over a model: classification by label scoring, and what trained tasks see of a text.
#![forbid(unsafe_code)]

mod biases;
pub mod classify;
mod scoring;
pub mod text_features;

pub use classify::{Classification, Classifier, ClassifyRequest, Label, Outcome, Progress, Usage};
