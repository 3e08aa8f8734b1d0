//! The engine's one error type: a small kind to branch on and a context for people.

use std::fmt;

/// What went wrong, for callers that branch on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model file lies about itself or is damaged.
    InvalidModel,
    /// The file is sound, but names an architecture, tensor type or tokenizer that is not supported.
    UnsupportedModel,
    /// The prompt and the requested output do not fit the KV cache.
    ContextOverflow,
    /// The caller's request is not valid (empty labels, negative temperature, ...).
    InvalidInput,
    /// The bytes of the model could not be read.
    Io,
    /// Memory does not suffice.
    OutOfMemory,
    /// The compute backend failed.
    Backend,
    /// The compute device is gone, with all that was on it.
    DeviceLost,
}

impl ErrorKind {
    /// Stable machine-readable name, also used across the JavaScript border.
    pub const fn code(self) -> &'static str {
        match self {
            ErrorKind::InvalidModel => "invalid_model",
            ErrorKind::UnsupportedModel => "unsupported_model",
            ErrorKind::ContextOverflow => "context_overflow",
            ErrorKind::InvalidInput => "invalid_input",
            ErrorKind::Io => "io",
            ErrorKind::OutOfMemory => "out_of_memory",
            ErrorKind::Backend => "backend",
            ErrorKind::DeviceLost => "device_lost",
        }
    }
}

/// An error of the engine.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error of `kind`; `context` says what happened in a sentence.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// A file that lies about itself or is damaged.
    pub fn invalid_model(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidModel, context)
    }

    /// `needed` tokens do not fit a KV cache of `capacity`.
    pub fn context_overflow(needed: usize, capacity: usize) -> Self {
        let context = format!("{needed} tokens do not fit the context of {capacity}");
        Self::new(ErrorKind::ContextOverflow, context)
    }

    /// Keeps `source` as the cause.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
