//! `frontdesk eval`: how good answers are, on labelled rows.

mod baseline;
mod blend;
mod curves;
mod decisions;
mod ladder;
mod mahalanobis;
mod routing;
mod rows;
mod simulation;
mod trial;
mod vectors;

use crate::classify;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Zero-shot classification by label scoring on a JSONL file of `text` and `label`.
    ZeroShot(classify::EvalOptions),
    /// A task trained on one JSONL file of `text` and `label`, certified, and tried on another.
    Routing(routing::Options),
    /// Every figure of docs/decisions.md, from the public data sets.
    Decisions(decisions::Options),
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::ZeroShot(options) => classify::evaluate(options),
        Command::Routing(options) => routing::run(options),
        Command::Decisions(options) => decisions::run(options),
    }
}
