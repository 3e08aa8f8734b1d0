// Preamble: noise by which a token is drawn, as the engine's `noise.rs` makes it.

fn noise(token: u32) -> f32 {
  var bits = choice.draw + token * 0x9e3779b9u;
  bits = (bits ^ (bits >> 16u)) * 0x7feb352du;
  bits = (bits ^ (bits >> 15u)) * 0x846ca68bu;
  bits = (bits ^ (bits >> 16u)) >> 9u;
  let share = (f32(i32(bits)) + 0.5) / 8388608.0;
  let small = share * (1.0 + share * (0.5 + share * (1.0 / 3.0 + share * 0.25)));
  return -log(select(-log(1.0 - share), small, share < 1.0 / 32.0));
}
