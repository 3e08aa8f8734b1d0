//! Vectors of length 1, kept in 8 bits: a cosine is off by less than 0.01.

use serde::{Deserialize, Serialize};

/// Vectors of one width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    width: usize,
    /// `[rows, width]`.
    codes: Vec<i8>,
    /// What a row's codes are multiplied by: `[rows]`.
    scales: Vec<f32>,
}

impl Rows {
    /// No vectors yet.
    pub fn new(width: usize) -> Self {
        Self { width, codes: Vec::new(), scales: Vec::new() }
    }

    /// `x` as it would come back.
    pub fn round(x: &[f32]) -> Vec<f32> {
        let mut rows = Self::new(x.len());
        rows.push(x);
        rows.iter().next().unwrap_or_default()
    }

    /// Keeps `x`, `[width]`, of length 1.
    pub fn push(&mut self, x: &[f32]) {
        let largest = x.iter().fold(f32::MIN_POSITIVE, |a, b| a.max(b.abs()));
        self.codes.extend(x.iter().map(|x| (x / largest * 127.0).round() as i8));
        self.scales.push(largest / 127.0);
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// Elements of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The elements of each vector, as they were kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Vec<f32>> {
        let rows = self.codes.chunks_exact(self.width.max(1)).zip(&self.scales);
        rows.map(|(codes, scale)| codes.iter().map(|code| f32::from(*code) * scale).collect())
    }

    /// The cosine of each vector with the only one of `other`.
    pub fn cosines(&self, other: &Self) -> impl Iterator<Item = f32> {
        let other_scale = other.scales.first().copied().unwrap_or(0.0);
        let rows = self.codes.chunks_exact(self.width.max(1)).zip(&self.scales);
        rows.map(move |(codes, scale)| dot(codes, &other.codes) as f32 * scale * other_scale)
    }

    /// Whether the sizes fit together and a vector of `width`.
    pub fn is_sound(&self, width: usize) -> bool {
        self.width == width
            && self.len().checked_mul(width) == Some(self.codes.len())
            && self.scales.iter().all(|scale| scale.is_finite())
    }
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_and_stay_as_they_came_back() {
        let x = [0.6, -0.8, 0.0];
        let mut rows = Rows::new(3);
        rows.push(&x);
        let Some(kept) = rows.iter().next() else { panic!("nothing was kept") };
        assert!(x.iter().zip(&kept).all(|(a, b)| (a - b).abs() < 0.004), "{kept:?}");
        rows.push(&kept);
        assert_eq!(rows.iter().last(), Some(kept));
        assert!(rows.is_sound(3) && !rows.is_sound(2));
    }

    #[test]
    fn cosines_are_those_of_the_vectors() {
        let (mut rows, mut other) = (Rows::new(2), Rows::new(2));
        rows.push(&[1.0, 0.0]);
        rows.push(&[0.0, -1.0]);
        other.push(&[0.8, 0.6]);
        let cosines: Vec<f32> = rows.cosines(&other).collect();
        assert!((cosines[0] - 0.8).abs() < 0.01 && (cosines[1] + 0.6).abs() < 0.01, "{cosines:?}");
    }
}
