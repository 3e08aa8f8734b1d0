//! Standardisation: every element of a feature vector gets mean 0 and variance 1 over the examples,
//! and the vector then length 1.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

/// Added to standard deviations, which may be 0.
const LEAST_DEVIATION: f32 = 1e-6;

/// Means and scales of the elements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standardiser {
    /// `[width]`.
    means: Array1<f32>,
    /// `[width]`: what differences from the mean are multiplied by.
    scales: Array1<f32>,
}

impl Standardiser {
    /// Learns from `x`, `[rows, width]`; `importance`, `[width]`, says how much of the length each
    /// element is to have.
    pub fn fit(x: ArrayView2<'_, f32>, importance: &[f32]) -> Self {
        let rows = x.nrows().max(1) as f64;
        let sums = x.map(|x| f64::from(*x)).sum_axis(Axis(0));
        let means = sums.mapv(|sum| (sum / rows) as f32);
        let mut squares = Array1::<f64>::zeros(x.ncols());
        for row in x.rows() {
            Zip::from(&mut squares)
                .and(row)
                .and(&means)
                .for_each(|sum, x, mean| *sum += f64::from(x - mean).powi(2));
        }
        let scale = |(sum, importance): (&f64, &f32)| {
            importance / ((sum / rows).sqrt() as f32 + LEAST_DEVIATION)
        };
        let scales = squares.iter().zip(importance).map(scale).collect();
        Self { means, scales }
    }

    /// Elements of a vector.
    pub fn width(&self) -> usize {
        self.means.len()
    }

    /// Whether there are as many means as scales, all of them finite.
    pub(crate) fn is_sound(&self) -> bool {
        self.means.len() == self.scales.len()
            && self.means.iter().chain(&self.scales).all(|x| x.is_finite())
    }

    /// Standardises `x`, `[rows, width]`.
    pub fn apply(&self, mut x: Array2<f32>) -> Array2<f32> {
        for mut row in x.rows_mut() {
            Zip::from(&mut row)
                .and(&self.means)
                .and(&self.scales)
                .for_each(|x, mean, scale| *x = (*x - mean) * scale);
            let length = row.dot(&row).sqrt().max(f32::MIN_POSITIVE);
            row /= length;
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn elements_get_mean_0_equal_variance_and_vectors_length_1() {
        let x = arr2(&[[1.0, 10.0], [3.0, 10.0], [5.0, 40.0]]);
        let standardiser = Standardiser::fit(x.view(), &[1.0, 1.0]);
        assert_eq!(standardiser.means, ndarray::arr1(&[3.0, 20.0]));
        let out = standardiser.apply(x);
        // The middle row is (0, -10 / 14.142): only its second element differs from the mean.
        assert!((out[[1, 0]]).abs() < 1e-6 && (out[[1, 1]] + 1.0).abs() < 1e-6);
        for row in out.rows() {
            assert!((row.dot(&row) - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn elements_that_never_vary_stay_finite() {
        let x = arr2(&[[2.0, 1.0], [2.0, 1.0]]);
        let out = Standardiser::fit(x.view(), &[1.0, 1.0]).apply(x);
        assert!(out.iter().all(|x| x.is_finite()));
    }
}
