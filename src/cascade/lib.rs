//! Confidence and the decision to answer here or escalate; plain numbers only.
#![forbid(unsafe_code)]

pub mod calibrate;
pub mod comparison;
mod error;
pub mod gate;
pub mod guarantee;
pub mod head;
pub mod improvement;
pub mod learning;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod neighbours;
pub mod policy;
pub mod rows;
mod saved_task;
pub mod standardise;
pub mod task;
pub mod task_file;

pub use error::{Error, Result};
pub use policy::{Action, Decision, Mode, Policy, PolicyError, Reason};
