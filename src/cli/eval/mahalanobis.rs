//! Mahalanobis distances, which the gate is compared with: of the nearest class, plain and relative.
//!
//! Sources: Lee et al., A simple unified framework for detecting out-of-distribution samples, 2018; Ren
//! et al., A simple fix to Mahalanobis distance for improving near-OOD detection, 2021.

use super::trial::Labelled;
use super::vectors::Vectors;
use anyhow::{Context, Result};
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

/// Share of the identity, of the mean variance, that is mixed into a covariance.
const SHRINKAGE: f64 = 0.1;

/// Classes as normal distributions of one covariance, and all rows as another.
pub(crate) struct Mahalanobis {
    /// Elements of a vector that are looked at, from the first on.
    width: usize,
    classes: Vec<DVector<f64>>,
    within: Cholesky<f64, Dyn>,
    mean: DVector<f64>,
    all: Cholesky<f64, Dyn>,
}

impl Mahalanobis {
    /// Learns from rows of `classes` classes, by the first `width` elements of their vectors.
    pub(crate) fn fit(rows: &Labelled, classes: usize, width: usize) -> Result<Self> {
        let count = rows.labels.len();
        let x =
            DMatrix::from_fn(count, width, |row, column| f64::from(rows.vectors.row(row)[column]));
        let mean_of = |wanted: &dyn Fn(usize) -> bool| {
            let chosen: Vec<usize> = (0..count).filter(|row| wanted(*row)).collect();
            x.select_rows(&chosen).row_mean().transpose()
        };
        let mean = mean_of(&|_| true);
        let class_means: Vec<DVector<f64>> =
            (0..classes).map(|class| mean_of(&|row| rows.labels[row] as usize == class)).collect();
        let covariance = |center: &dyn Fn(usize) -> DVector<f64>| {
            let mut centred = x.clone();
            for (index, mut row) in centred.row_iter_mut().enumerate() {
                row -= center(index).transpose();
            }
            let covariance = centred.tr_mul(&centred) / count as f64;
            let variance = covariance.trace() / width as f64;
            let identity = DMatrix::identity(width, width);
            Cholesky::new(covariance * (1.0 - SHRINKAGE) + identity * (variance * SHRINKAGE))
        };
        let within = covariance(&|row| class_means[rows.labels[row] as usize].clone());
        let all = covariance(&|_| mean.clone());
        let is_missing = "a covariance is not positive definite";
        Ok(Self {
            width,
            within: within.context(is_missing)?,
            all: all.context(is_missing)?,
            classes: class_means,
            mean,
        })
    }

    /// Of each row, the distance of the nearest class, and that less the distance of all rows.
    pub(crate) fn distances(&self, vectors: &Vectors) -> Vec<[f64; 2]> {
        let rows = vectors.values.chunks_exact(vectors.width);
        rows.map(|row| {
            let x = DVector::from_fn(self.width, |index, _| f64::from(row[index]));
            let distance = |mean: &DVector<f64>, factor: &Cholesky<f64, Dyn>| {
                let difference = &x - mean;
                factor.solve(&difference).dot(&difference)
            };
            let classes = self.classes.iter().map(|mean| distance(mean, &self.within));
            let nearest = classes.fold(f64::INFINITY, f64::min);
            [nearest, nearest - distance(&self.mean, &self.all)]
        })
        .collect()
    }
}
