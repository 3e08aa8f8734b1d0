//! The ledger: what a run cost, what it would have cost had the cloud answered all, and what that saved.
//!
//! Tokens of calls that the cloud answered are those it reported. Those of all other calls are estimated: a
//! request's from its bytes, at the rate of the measured calls, an answer's as the mean of theirs. The
//! interval is that of the percentile bootstrap over calls, estimates included. Source: Efron and Tibshirani,
//! An introduction to the bootstrap, 1993.

use crate::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// Fewest measured calls of an interval.
const LEAST_MEASURED: usize = 10;
const RESAMPLES: usize = 1000;
const CONFIDENCE: f64 = 0.95;
const SEED: u64 = 1;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Bytes of the request that the cloud was sent, or would have been.
    pub bytes: f64,
    /// Whether it was sent.
    pub was_sent: bool,
    /// Tokens read and written, where the cloud was asked and said so.
    pub usage: Option<Tokens>,
    /// Milliseconds of the whole call.
    pub total_ms: f64,
    /// Milliseconds in the cloud, where it was asked.
    pub cloud_ms: Option<f64>,
}

/// Tokens of a large model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// Tokens read.
    pub input_tokens: f64,
    /// Tokens written.
    pub output_tokens: f64,
}

/// Money for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// For tokens read.
    pub input_per_million: f64,
    /// For tokens written.
    pub output_per_million: f64,
}

/// One of the two worlds: as it was, or all answered by the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct World {
    /// Tokens of all calls.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// What they cost.
    pub money: f64,
    /// Mean milliseconds of a call.
    pub mean_ms: f64,
}

/// What was saved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saving {
    /// Money.
    pub money: f64,
    /// Share of what the cloud alone would have cost.
    pub share: f64,
    /// Where the share lies; nothing with too few measured calls.
    pub interval: Option<Interval>,
}

/// An interval and its confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability that such an interval covers what it is about.
    pub confidence: f64,
}

/// Both worlds; what the cloud alone would have cost is unknown until it was measured once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Calls.
    pub calls: usize,
    /// Calls that left the device.
    pub sent: usize,
    /// Calls whose tokens the cloud reported.
    pub measured: usize,
    /// The run as it was.
    pub as_run: World,
    /// Had the cloud answered all.
    pub all_cloud: Option<World>,
    /// The difference.
    pub saving: Option<Saving>,
}

/// Adds the calls up.
///
/// # Errors
/// [`Error::NotFinite`] for prices or calls whose numbers are not finite or below 0.
pub fn summarise(calls: &[Call], prices: Prices) -> Result<Summary> {
    let is_amount = |x: &f64| x.is_finite() && *x >= 0.0;
    if ![prices.input_per_million, prices.output_per_million].iter().all(is_amount) {
        return Err(Error::NotFinite("a price"));
    }
    if !calls.iter().flat_map(Call::amounts).all(|x| is_amount(&x)) {
        return Err(Error::NotFinite("a call"));
    }
    let all: Vec<&Call> = calls.iter().collect();
    let measured = calls.iter().filter(|call| call.usage.is_some()).count();
    let rates = Rates::of(&all);
    let as_run = World {
        mean_ms: mean(calls.iter().map(|call| call.total_ms)),
        ..prices.world(&all, |call| call.spent(rates))
    };
    let all_cloud = rates.map(|rates| World {
        mean_ms: mean(calls.iter().filter_map(|call| call.cloud_ms)),
        ..prices.world(&all, |call| call.tokens(rates))
    });
    let saving = all_cloud.filter(|world| world.money > 0.0).map(|world| Saving {
        money: world.money - as_run.money,
        share: 1.0 - as_run.money / world.money,
        interval: (measured >= LEAST_MEASURED).then(|| interval(&all, prices)),
    });
    let sent = calls.iter().filter(|call| call.was_sent).count();
    Ok(Summary { calls: calls.len(), sent, measured, as_run, all_cloud, saving })
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), x| (sum + x, count + 1));
    sum / f64::from(count.max(1))
}

/// What the measured calls tell of the others.
#[derive(Clone, Copy)]
struct Rates {
    input_tokens_a_byte: f64,
    output_tokens: f64,
}

impl Rates {
    fn of(calls: &[&Call]) -> Option<Self> {
        let measured = || calls.iter().filter_map(|call| Some((call.bytes, call.usage?)));
        let bytes: f64 = measured().map(|(bytes, _)| bytes).sum();
        let input: f64 = measured().map(|(_, usage)| usage.input_tokens).sum();
        let output: f64 = measured().map(|(_, usage)| usage.output_tokens).sum();
        let count = measured().count() as f64;
        (bytes > 0.0)
            .then(|| Self { input_tokens_a_byte: input / bytes, output_tokens: output / count })
    }
}

impl Call {
    fn amounts(&self) -> impl Iterator<Item = f64> {
        let usage = self.usage.unwrap_or_default();
        let times = [self.total_ms, self.cloud_ms.unwrap_or_default()];
        [self.bytes, usage.input_tokens, usage.output_tokens].into_iter().chain(times)
    }

    /// What the cloud reads and writes for it.
    fn tokens(&self, rates: Rates) -> Tokens {
        self.usage.unwrap_or(Tokens {
            input_tokens: self.bytes * rates.input_tokens_a_byte,
            output_tokens: rates.output_tokens,
        })
    }

    /// What it read and wrote.
    fn spent(&self, rates: Option<Rates>) -> Tokens {
        match rates.filter(|_| self.was_sent) {
            Some(rates) => self.tokens(rates),
            None => Tokens::default(),
        }
    }
}

impl Prices {
    fn world(&self, calls: &[&Call], tokens: impl Fn(&Call) -> Tokens) -> World {
        let mut sum = Tokens::default();
        for tokens in calls.iter().map(|call| tokens(call)) {
            sum.input_tokens += tokens.input_tokens;
            sum.output_tokens += tokens.output_tokens;
        }
        let money =
            sum.input_tokens * self.input_per_million + sum.output_tokens * self.output_per_million;
        World { tokens: sum, money: money / 1e6, mean_ms: 0.0 }
    }
}

/// Where the share that was saved lies.
fn interval(calls: &[&Call], prices: Prices) -> Interval {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut shares = Vec::with_capacity(RESAMPLES);
    while shares.len() < RESAMPLES {
        let sample: Vec<&Call> =
            calls.iter().map(|_| calls[random.random_range(0..calls.len())]).collect();
        // A sample without a measured call says nothing of what the cloud costs.
        let rates = Rates::of(&sample);
        let spent = prices.world(&sample, |call| call.spent(rates)).money;
        let all = rates.map(|rates| prices.world(&sample, |call| call.tokens(rates)).money);
        shares.push(all.filter(|all| *all > 0.0).map_or(1.0, |all| 1.0 - spent / all));
    }
    shares.sort_by(f64::total_cmp);
    let at = |share: f64| shares[(share * (RESAMPLES - 1) as f64).round() as usize];
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Interval { low: at(tail), high: at(1.0 - tail), confidence: CONFIDENCE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices { input_per_million: 2.0, output_per_million: 10.0 };

    fn here(bytes: f64) -> Call {
        Call { bytes, was_sent: false, usage: None, total_ms: 10.0, cloud_ms: None }
    }

    fn sent(bytes: f64, input_tokens: f64, output_tokens: f64) -> Call {
        Call {
            was_sent: true,
            usage: Some(Tokens { input_tokens, output_tokens }),
            total_ms: 510.0,
            cloud_ms: Some(500.0),
            ..here(bytes)
        }
    }

    #[test]
    fn both_worlds_are_added_up() {
        let calls = [here(400.0), here(800.0), sent(400.0, 100.0, 5.0), sent(800.0, 200.0, 15.0)];
        let summary = summarise(&calls, PRICES).unwrap();
        assert_eq!((summary.calls, summary.sent, summary.measured), (4, 2, 2));
        assert_eq!(summary.as_run.tokens, Tokens { input_tokens: 300.0, output_tokens: 20.0 });
        assert!((summary.as_run.money - 800e-6).abs() < 1e-12);
        assert_eq!(summary.as_run.mean_ms, 260.0);
        let all = summary.all_cloud.unwrap();
        assert_eq!(all.tokens, Tokens { input_tokens: 600.0, output_tokens: 40.0 });
        assert_eq!(all.mean_ms, 500.0);
        let saving = summary.saving.unwrap();
        assert!((saving.share - 0.5).abs() < 1e-12 && saving.interval.is_none());
    }

    #[test]
    fn a_call_that_was_sent_and_not_reported_costs_too() {
        let unknown = Call { was_sent: true, cloud_ms: Some(400.0), ..here(400.0) };
        let summary = summarise(&[sent(400.0, 100.0, 5.0), unknown], PRICES).unwrap();
        assert_eq!(summary.as_run.tokens.input_tokens, 200.0);
        assert_eq!(summary.saving.unwrap().share, 0.0);
        // Where nothing was measured, nothing is claimed.
        let summary = summarise(&[unknown, here(100.0)], PRICES).unwrap();
        assert!(summary.all_cloud.is_none() && summary.saving.is_none());
        assert!(summarise(&[], PRICES).unwrap().saving.is_none());
    }

    #[test]
    fn the_interval_covers_the_truth_about_as_often_as_it_says() {
        // One call in five is sent; requests differ in length and in tokens a byte.
        let truth = 0.8;
        let mut random = Pcg64Mcg::seed_from_u64(9);
        let mut covered = 0;
        for _ in 0..100 {
            let calls: Vec<Call> = (0..200)
                .map(|_| {
                    let bytes = 200.0 + 800.0 * random.random::<f64>();
                    let rate = 0.2 + 0.1 * random.random::<f64>();
                    match random.random::<f64>() < 1.0 - truth {
                        true => sent(bytes, bytes * rate, 3.0),
                        false => here(bytes),
                    }
                })
                .collect();
            let interval = summarise(&calls, PRICES).unwrap().saving.unwrap().interval.unwrap();
            covered += usize::from((interval.low..=interval.high).contains(&truth));
        }
        // 95 of 100, less three standard deviations.
        assert!(covered >= 88, "{covered}");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        assert!(summarise(&[here(f64::NAN)], PRICES).is_err());
        assert!(summarise(&[sent(1.0, -3.0, 1.0)], PRICES).is_err());
        assert!(summarise(&[], Prices { input_per_million: f64::INFINITY, ..PRICES }).is_err());
    }
}
