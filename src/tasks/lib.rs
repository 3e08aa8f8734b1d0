//! Tasks over a language model: classification by label scoring.
#![forbid(unsafe_code)]

pub mod classify;
mod scoring;

pub use classify::{Classification, Classifier, ClassifyRequest, Label, Outcome, Progress, Usage};
