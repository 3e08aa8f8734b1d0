//! Confidence and the decision to answer here or escalate; plain numbers only.
#![forbid(unsafe_code)]
