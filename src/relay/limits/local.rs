//! Limits that one server keeps for itself, in its memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};

use super::{Allowance, Reservation, Spent};
use crate::client::Client;

/// After so many admissions clients that have their whole rate again are forgotten.
const ADMISSIONS_UNTIL_TIDYING: u32 = 1024;

#[derive(Debug)]
pub(crate) struct Local {
    allowance: Allowance,
    rates: DefaultKeyedRateLimiter<Client>,
    clock: DefaultClock,
    admissions: Mutex<u32>,
    spending: Mutex<Spending>,
}

/// Tokens of one day. Only who has spent some has an entry, and the budget of all clients bounds how many that are.
#[derive(Debug, Default)]
struct Spending {
    day: u64,
    total: u64,
    by_client: HashMap<Client, u64>,
}

impl Local {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            rates: RateLimiter::keyed(allowance.rate),
            clock: DefaultClock::default(),
            admissions: Mutex::default(),
            spending: Mutex::default(),
        }
    }

    /// How long to wait, where the request comes too early.
    pub(crate) fn admit(&self, client: &Client) -> Option<Duration> {
        let mut admissions = lock(&self.admissions);
        *admissions += 1;
        if *admissions >= ADMISSIONS_UNTIL_TIDYING {
            *admissions = 0;
            self.rates.retain_recent();
            self.rates.shrink_to_fit();
        }
        drop(admissions);
        self.rates
            .check_key(client)
            .err()
            .map(|too_early| too_early.wait_time_from(self.clock.now()))
    }

    pub(crate) fn reserve(&self, reservation: &Reservation) -> Result<(), Spent> {
        let Reservation { client, day, tokens } = reservation;
        let mut spending = lock(&self.spending);
        // A clock that is set back a little must not give a new day's budget.
        if *day > spending.day {
            *spending = Spending { day: *day, ..Spending::default() };
        }
        let of_client =
            spending.by_client.get(client).copied().unwrap_or_default().saturating_add(*tokens);
        let total = spending.total.saturating_add(*tokens);
        if of_client > self.allowance.client_budget {
            return Err(Spent::Client);
        }
        if total > self.allowance.total_budget {
            return Err(Spent::Total);
        }
        spending.total = total;
        spending.by_client.insert(client.clone(), of_client);
        Ok(())
    }

    pub(crate) fn settle(&self, reservation: &Reservation, spent: u64) {
        let mut spending = lock(&self.spending);
        // What was set aside yesterday is over.
        if spending.day != reservation.day {
            return;
        }
        spending.total = spending.total.saturating_add(spent).saturating_sub(reservation.tokens);
        if let Some(of_client) = spending.by_client.get_mut(&reservation.client) {
            *of_client = of_client.saturating_add(spent).saturating_sub(reservation.tokens);
            if *of_client == 0 {
                spending.by_client.remove(&reservation.client);
            }
        }
    }
}

/// Numbers are whole after every statement, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use governor::Quota;

    use super::*;

    fn limits() -> Local {
        let one = NonZeroU32::MIN;
        Local::new(Allowance {
            rate: Quota::per_minute(one).allow_burst(one.saturating_add(2)),
            client_budget: 100,
            total_budget: 250,
        })
    }

    fn client(name: &str) -> Client {
        Client::Named(name.to_owned())
    }

    fn wish(name: &str, day: u64, tokens: u64) -> Reservation {
        Reservation { client: client(name), day, tokens }
    }

    #[test]
    fn a_burst_passes_and_then_one_a_minute() {
        let limits = limits();
        for _ in 0..3 {
            assert_eq!(limits.admit(&client("ada")), None);
        }
        let wait = limits.admit(&client("ada")).unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
        assert_eq!(limits.admit(&client("ben")), None);
    }

    #[test]
    fn who_has_the_whole_rate_again_is_forgotten() {
        let quick = Quota::per_second(NonZeroU32::MAX);
        let limits = Local::new(Allowance { rate: quick, client_budget: 0, total_budget: 0 });
        for number in 0..5 * ADMISSIONS_UNTIL_TIDYING {
            assert_eq!(limits.admit(&client(&number.to_string())), None);
        }
        assert!(limits.rates.len() <= ADMISSIONS_UNTIL_TIDYING as usize, "{}", limits.rates.len());
    }

    #[test]
    fn nothing_beyond_the_budgets_is_set_aside() {
        let limits = limits();
        assert_eq!(limits.reserve(&wish("ada", 1, 60)), Ok(()));
        assert_eq!(limits.reserve(&wish("ada", 1, 60)), Err(Spent::Client));
        assert_eq!(limits.reserve(&wish("ada", 1, 40)), Ok(()));
        assert_eq!(limits.reserve(&wish("ben", 1, 100)), Ok(()));
        assert_eq!(limits.reserve(&wish("cem", 1, 60)), Err(Spent::Total));
        assert_eq!(limits.reserve(&wish("cem", 1, u64::MAX)), Err(Spent::Client));
        assert_eq!(limits.reserve(&wish("cem", 1, 50)), Ok(()));
        assert_eq!(limits.reserve(&wish("ada", 2, 100)), Ok(()), "a new day");
    }

    #[test]
    fn what_was_spent_takes_the_place_of_what_was_set_aside() {
        let limits = limits();
        let reservation = wish("ada", 1, 100);
        limits.reserve(&reservation).unwrap();
        limits.settle(&reservation, 10);
        assert_eq!(limits.reserve(&wish("ada", 1, 91)), Err(Spent::Client));
        assert_eq!(limits.reserve(&wish("ada", 1, 90)), Ok(()));
        limits.reserve(&wish("ada", 2, 100)).unwrap();
        limits.settle(&reservation, 0);
        assert_eq!(
            limits.reserve(&wish("ada", 2, 1)),
            Err(Spent::Client),
            "yesterday's are not given back today"
        );
    }
}
