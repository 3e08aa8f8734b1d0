//! Pooling: the vectors of a text's tokens become one.

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// That of the last token.
    Last,
    /// That of the first token.
    First,
    /// The largest of each element.
    Max,
}

/// Pools `x`, `[tokens, out.len()]`, into `out`, which holds what `before` earlier tokens of the
/// same text were pooled to; whatever it holds where there were none.
pub fn pool(pooling: Pooling, x: &[f32], before: usize, out: &mut [f32]) {
    let width = out.len();
    let tokens = x.chunks_exact(width);
    match pooling {
        Pooling::First if before > 0 => {}
        Pooling::First => out.copy_from_slice(&x[..width]),
        Pooling::Last => out.copy_from_slice(&x[x.len() - width..]),
        Pooling::Max => {
            if before == 0 {
                out.copy_from_slice(&x[..width]);
            }
            for token in tokens {
                out.iter_mut().zip(token).for_each(|(out, x)| *out = larger(*out, *x));
            }
        }
        Pooling::Mean => {
            let share = 1.0 / (before + tokens.len()) as f32;
            match before {
                0 => out.fill(0.0),
                _ => out.iter_mut().for_each(|out| *out *= before as f32 * share),
            }
            for token in tokens {
                out.iter_mut().zip(token).for_each(|(out, x)| *out += x * share);
            }
        }
    }
}

/// The larger number; one that is no number wins, so that it shows.
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::{assert_close, random};
    // On WebAssembly the attribute is the runner's own.
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(pooling: Pooling, x: &[f32], width: usize) -> Vec<f32> {
        let tokens: Vec<&[f32]> = x.chunks_exact(width).collect();
        let column = |index: usize| tokens.iter().map(move |token| f64::from(token[index]));
        let pooled = (0..width).map(|index| match pooling {
            Pooling::Mean => column(index).sum::<f64>() / tokens.len() as f64,
            Pooling::Last => f64::from(tokens[tokens.len() - 1][index]),
            Pooling::First => f64::from(tokens[0][index]),
            Pooling::Max => column(index).fold(f64::MIN, f64::max),
        });
        pooled.map(|value| value as f32).collect()
    }

    #[test]
    fn agrees_with_the_reference_however_a_text_is_cut() {
        let (tokens, width) = (11, 5);
        let x: Vec<f32> = random(tokens * width, 6).iter().map(|x| x - 2.0).collect();
        for pooling in [Pooling::Mean, Pooling::Last, Pooling::First, Pooling::Max] {
            for piece in [1, 2, 4, 11] {
                let mut out = vec![f32::NAN; width];
                for (index, x) in x.chunks(piece * width).enumerate() {
                    pool(pooling, x, index * piece, &mut out);
                }
                assert_close(&out, &reference(pooling, &x, width), 1e-6);
            }
        }
    }

    #[test]
    fn what_is_no_number_shows() {
        for x in [[f32::NAN, 1.0, 2.0], [1.0, f32::NAN, 2.0], [1.0, 2.0, f32::NAN]] {
            for pooling in [Pooling::Mean, Pooling::Max] {
                let mut out = [0.0];
                pool(pooling, &x, 0, &mut out);
                assert!(out[0].is_nan(), "{pooling:?} {x:?}");
            }
        }
    }
}
