// Preamble: how a token is chosen, and what is said of it.

const LOWEST = -3.4e38;

struct Choice {
  wanted: u32,         // most likely tokens to find: at least those that may be drawn
  candidates: u32,     // that may be drawn
  record: u32,         // where it is told
  temperature: f32,    // 0 takes the most likely token
  top_p: f32,
  min_p: f32,
  draw: f32,           // from 0 to 1
}
