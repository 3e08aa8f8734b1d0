// Preamble: how a token is chosen.

const LOWEST = -3.4e38;

struct Choice {
  wanted: u32,         // most likely tokens to find
  candidates: u32,     // most tokens that may be drawn
  record: u32,         // where it is told
  temperature: f32,    // 0 takes the most likely token
  top_p: f32,
  reach: f32,          // how far a candidate's logit may be from the largest
  draw: u32,           // a random number
  penalty: f32,
}

fn weight(distance: f32) -> f32 { return exp(-distance / choice.temperature); }

// The larger number; of equals the earlier place.
fn better(a: vec2f, b: vec2f) -> vec2f {
  return select(b, a, a.x > b.x || (a.x == b.x && a.y <= b.y));
}
