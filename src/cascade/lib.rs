//! Confidence and the decision to answer here or escalate; plain numbers only.
#![forbid(unsafe_code)]

pub mod policy;

pub use policy::{Action, Decision, Mode, Policy, PolicyError, Reason};
