//! Tasks over a language model: classification by label scoring, and chat.
#![forbid(unsafe_code)]
