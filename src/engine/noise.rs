//! Noise by which a token is drawn: the one whose logit and noise are the largest together.
//!
//! With noise of Gumbel's distribution that draws by probability, without sums over the vocabulary, whose rounding
//! would depend on who computes them. A device makes the same noise (`noise.wgsl` of the GPU).
//!
//! Source: Maddison, Tarlow and Minka, A* Sampling, 2014.

/// No noise is larger.
pub(crate) const MOST: f32 = 16.64;

/// The noise of `token` in the draw of this random number.
pub(crate) fn noise(draw: u32, token: u32) -> f32 {
    let bits = scattered(draw.wrapping_add(token.wrapping_mul(0x9e37_79b9))) >> 9;
    // From 0 to 1, exclusive.
    let share = (bits as f32 + 0.5) / 8_388_608.0;
    // Logarithms of devices are not exact near 1.
    let wait = match share < 1.0 / 32.0 {
        true => share * (1.0 + share * (0.5 + share * (1.0 / 3.0 + share * 0.25))),
        false => -(1.0 - share).ln(),
    };
    -wait.ln()
}

/// Each bit of the result depends on all bits of `x`.
///
/// Source: Wellons, Prospecting for Hash Functions, 2018.
fn scattered(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_of_gumbels_distribution() {
        let count = 100_000;
        for of in [|n| noise(7, n), |n| noise(n, 7)] {
            let mut values: Vec<f32> = (0..count).map(of).collect();
            values.sort_unstable_by(f32::total_cmp);
            let worst = (0..).zip(&values).fold(0.0f64, |worst: f64, (place, value)| {
                let share = (-(-f64::from(*value)).exp()).exp();
                worst.max((share - (f64::from(place) + 0.5) / f64::from(count)).abs())
            });
            // Of Kolmogorov's distance: less than this in 99.9% of samples.
            assert!(worst < 1.95 / f64::from(count).sqrt(), "{worst}");
            assert!(values.iter().all(|value| value.is_finite() && *value <= MOST));
        }
    }
}
