// Preamble: the tokens in flight, eight numbers each.

struct Token {
  id: u32,
  slot: u32,            // of the KV cache
  position: u32,        // in its sequence
  context_start: u32,   // the first slot of what comes before its segment
  context_length: u32,
  own_slot: u32,        // the first slot of its segment
  own_tokens: u32,      // tokens of its segment
  index: u32,           // its place there
}
