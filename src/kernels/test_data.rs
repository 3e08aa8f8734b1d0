//! Repeatable pseudo-random numbers for the kernels' tests.

/// `count` numbers in [-1, 1), the same for the same `seed` (xorshift64*).
pub(crate) fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40;
            bits as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// `count` arbitrary bytes.
pub(crate) fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    random(count, seed).into_iter().map(|value| (value * 128.0).floor() as i32 as u8).collect()
}

/// Asserts that two slices agree to `tolerance`, relative to the larger of 1 and the value.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len());
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance * e.abs().max(1.0), "at {index}: {a} is not {e}");
    }
}
