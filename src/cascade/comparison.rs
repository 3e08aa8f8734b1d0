//! Whether a challenger answers better than the champion, on rows that neither has learnt from.
//!
//! McNemar's test in its exact form: only rows that one of them gets right and the other wrong tell
//! them apart, and where both are equally good each such row is a fair coin. Source: McNemar, Note on
//! the sampling error of the difference between correlated proportions or percentages, 1947.

use crate::{Error, Result};
use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

/// Rows answered by both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Rows.
    pub rows: usize,
    /// Rows that only the challenger answers right.
    pub gained: usize,
    /// Negative flips: rows that only the champion answers right.
    pub lost: usize,
    /// Probability of so many gains or more among the flips, were both equally good.
    pub p_better: f64,
    /// Probability of so many losses or more among the flips, were both equally good.
    pub p_worse: f64,
}

/// Probability of a flip's direction where both are equally good.
const FAIR: f64 = 0.5;

impl Comparison {
    /// Of each row, whether the champion and whether the challenger is right.
    ///
    /// # Errors
    /// [`Error::Training`] where the distribution cannot be had, which no number of rows leads to.
    pub fn new(rows: impl IntoIterator<Item = (bool, bool)>) -> Result<Self> {
        let (mut count, mut gained, mut lost) = (0, 0, 0);
        for (champion, challenger) in rows {
            count += 1;
            gained += usize::from(!champion && challenger);
            lost += usize::from(champion && !challenger);
        }
        let flips = Binomial::new(FAIR, (gained + lost) as u64);
        let flips = flips.map_err(|error| Error::Training(error.to_string()))?;
        let at_least = |seen: usize| match seen {
            0 => 1.0,
            _ => flips.sf(seen as u64 - 1),
        };
        let (p_better, p_worse) = (at_least(gained), at_least(lost));
        Ok(Self { rows: count, gained, lost, p_better, p_worse })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    fn comparison(gained: usize, lost: usize, others: usize) -> Comparison {
        let rows = [((false, true), gained), ((true, false), lost), ((true, true), others)];
        Comparison::new(rows.into_iter().flat_map(|(row, count)| vec![row; count])).unwrap()
    }

    #[test]
    fn probabilities_are_those_of_fair_coins() {
        let five = comparison(5, 0, 20);
        assert_eq!((five.rows, five.gained, five.lost), (25, 5, 0));
        assert!((five.p_better - 1.0 / 32.0).abs() < 1e-12 && five.p_worse == 1.0);
        // P(X >= 8 of 10) = (45 + 10 + 1) / 1024.
        let eight = comparison(8, 2, 0);
        assert!((eight.p_better - 56.0 / 1024.0).abs() < 1e-12, "{eight:?}");
        assert!((comparison(2, 8, 0).p_worse - 56.0 / 1024.0).abs() < 1e-12);
        let none = comparison(0, 0, 9);
        assert_eq!((none.p_better, none.p_worse), (1.0, 1.0));
    }

    #[test]
    fn equals_are_seldom_called_better() {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let mut called = 0;
        for _ in 0..1000 {
            let rows =
                (0..60).map(|_| (random.random::<f64>() < 0.7, random.random::<f64>() < 0.7));
            let rows: Vec<(bool, bool)> = rows.collect();
            called += usize::from(Comparison::new(rows).unwrap().p_better <= 0.05);
        }
        // 5% of 1000 and three standard deviations of that.
        assert!(called <= 70, "{called}");
    }
}
