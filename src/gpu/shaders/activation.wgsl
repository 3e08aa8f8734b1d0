// Preamble: what an activation makes of a number; the formulas are those of the CPU's kernels.

const SILU = 1u;
const GELU_TANH = 2u;
const GELU_ERF = 3u;

fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(min(-x, 88.0))); }

fn activate(x: f32, activation: u32) -> f32 {
  if activation == SILU {
    return x * sigmoid(x);
  } else if activation == GELU_TANH {
    return x * sigmoid(1.595769 * (x + 0.044715 * x * x * x));
  } else if activation == GELU_ERF {
    // Abramowitz and Stegun, 7.1.26.
    let size = abs(x);
    let t = 1.0 / (1.0 + 0.23164189 * size);
    let sum = (((0.5307027 * t - 0.726576) * t + 0.7107069) * t - 0.14224837) * t + 0.1274148;
    return max(x, 0.0) - size * sum * t * exp(-0.5 * x * x);
  }
  return x;
}
