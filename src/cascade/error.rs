//! What can go wrong with examples, tasks and budgets.

use std::fmt;

/// Why a task was not trained, certified or read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The examples cannot be learnt from; says why.
    Examples(String),
    /// A number that is not finite.
    NotFinite(&'static str),
    /// The solver failed.
    Training(String),
    /// A budget that cannot be.
    Budget(String),
    /// A task's file that cannot be read.
    TaskFile(String),
}

/// A result with this crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Examples(why) | Self::Budget(why) | Self::TaskFile(why) => why.fmt(formatter),
            Self::NotFinite(what) => write!(formatter, "{what} has a number that is not finite"),
            Self::Training(why) => write!(formatter, "training failed: {why}"),
        }
    }
}

impl std::error::Error for Error {}
