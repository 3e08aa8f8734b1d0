//! How much a client may ask: a rate (GCRA) and a daily budget of tokens, kept in this process or, for several servers, in Redis.

mod local;
mod shared;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use governor::Quota;

use crate::client::Client;
use crate::problem::Problem;
use crate::settings::Settings;

pub(crate) use local::Local;
pub(crate) use shared::Shared;

const SECONDS_OF_A_DAY: u64 = 86_400;

/// The limits of all clients.
#[derive(Debug)]
pub(crate) enum Limits {
    /// Each server counts for itself.
    Local(Local),
    /// All servers with the same Redis count together.
    Shared(Shared),
}

/// What may be asked and spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    pub(crate) rate: Quota,
    pub(crate) client_budget: u64,
    pub(crate) total_budget: u64,
}

/// Tokens that were set aside before they were spent.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) client: Client,
    /// Days since 1970 (UTC), so that what ends after midnight is settled where it was set aside.
    pub(crate) day: u64,
    pub(crate) tokens: u64,
}

/// Why tokens were not set aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spent {
    /// This client's budget.
    Client,
    /// That of all clients together.
    Total,
}

impl Limits {
    pub(crate) async fn new(settings: &Settings) -> Result<Self, String> {
        let allowance = Allowance {
            rate: Quota::per_minute(settings.rate).allow_burst(settings.burst),
            client_budget: settings.client_budget,
            total_budget: settings.total_budget,
        };
        match &settings.redis {
            None => Ok(Self::Local(Local::new(allowance))),
            Some(address) => Shared::connect(address, allowance).await.map(Self::Shared),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 where the client has asked too much, 503 where that cannot be known.
    pub(crate) async fn admit(&self, client: &Client) -> Result<(), Problem> {
        let wait = match self {
            Self::Local(limits) => limits.admit(client),
            Self::Shared(limits) => limits.admit(client).await.map_err(unavailable)?,
        };
        match wait {
            None => Ok(()),
            Some(wait) => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "You have asked too often. Wait a little.",
            )
            .after(wait)),
        }
    }

    /// Sets `tokens` aside, or nothing.
    ///
    /// # Errors
    /// 429 where the budget does not hold so many, 503 where that cannot be known.
    pub(crate) async fn reserve(
        &self,
        client: &Client,
        tokens: u64,
    ) -> Result<Reservation, Problem> {
        let now = seconds_now();
        let reservation =
            Reservation { client: client.clone(), day: now / SECONDS_OF_A_DAY, tokens };
        let outcome = match self {
            Self::Local(limits) => limits.reserve(&reservation),
            Self::Shared(limits) => limits.reserve(&reservation).await.map_err(unavailable)?,
        };
        let until_tomorrow = Duration::from_secs(SECONDS_OF_A_DAY - now % SECONDS_OF_A_DAY);
        match outcome {
            Ok(()) => Ok(reservation),
            Err(Spent::Client) => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "budget_spent",
                "Your budget of today does not hold this request.",
            )
            .after(until_tomorrow)),
            Err(Spent::Total) => Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "total_budget_spent",
                "The budget of today, of all clients together, does not hold this request.",
            )
            .after(until_tomorrow)),
        }
    }

    /// Replaces what was set aside by what was spent.
    pub(crate) async fn settle(&self, reservation: &Reservation, spent: u64) {
        match self {
            Self::Local(limits) => limits.settle(reservation, spent),
            Self::Shared(limits) => {
                if let Err(why) = limits.settle(reservation, spent).await {
                    // What was set aside stays counted: too much rather than too little.
                    tracing::warn!(why, "what was spent could not be settled");
                }
            }
        }
    }
}

fn unavailable(why: String) -> Problem {
    tracing::error!(why, "the limits cannot be read");
    Problem::unavailable_limits()
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
