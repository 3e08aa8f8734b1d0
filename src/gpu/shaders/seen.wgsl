// Preamble: what both attention kernels read, and which slots a token sees.

@group(0) @binding(0) var<storage, read> cursor: array<Token>;             // [tokens]
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;          // queries, [tokens, HEADS, DIMENSIONS / 4]
@group(0) @binding(2) var<storage, read> rope: array<vec2f>;               // [positions, DIMENSIONS / 2]: cosine, sine
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(4) var<storage, read> keys: array<vec4f>;               // [slots, KV_HEADS, DIMENSIONS / 4]
@group(0) @binding(5) var<storage, read> values: array<vec4f>;             // [slots, KV_HEADS, DIMENSIONS / 4]
@group(0) @binding(6) var<storage, read_write> out: array<f32>;            // [tokens, HEADS, DIMENSIONS], or parts of it
@group(0) @binding(7) var<uniform> site: Site;

struct Site {
  queries: u32,   // the vector in `projected` where queries begin
  norm: u32,      // the vector of the norm's weight
  epsilon: f32,
  scale: f32,
  tokens: u32,
}

const LOWEST = -3.4e38;

// Which slots a token sees: of the context, then of its own segment.
struct Seen { context: u32, context_slot: u32, own_slot: u32, begin: u32, end: u32 }

// The part of them that a split takes, a multiple of `step` slots but for the last.
fn seen_by(token: Token, split: u32, step: u32) -> Seen {
  let length = select(token.own_tokens, token.index + 1u, CAUSAL);
  let hidden = max(token.position + 1u, WINDOW) - WINDOW;
  let skipped = min(hidden, token.context_length);
  let context = token.context_length - skipped;
  let own_skipped = hidden - skipped;
  let count = context + length - own_skipped;
  let span = (count + SPLITS * step - 1u) / (SPLITS * step) * step;
  let begin = min(split * span, count);
  return Seen(context, token.context_start + skipped, token.own_slot + own_skipped, begin, min(begin + span, count));
}

// The slot of the n-th that is seen.
fn slot_of(seen: Seen, n: u32) -> u32 {
  return select(seen.own_slot + n - seen.context, seen.context_slot + n, n < seen.context);
}

// What the norm of a query head multiplies it with.
fn query_factor(head: u32) -> f32 {
  if !NORM { return 1.0; }
  var squares = 0.0;
  for (var j = 0u; j < VECTORS; j++) { squares += dot(projected[head + j], projected[head + j]); }
  return inverseSqrt(squares / f32(DIMENSIONS) + site.epsilon);
}
