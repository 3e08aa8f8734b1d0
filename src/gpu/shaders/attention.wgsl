// Attention of one token: a workgroup takes GROUP query heads that share keys and a SPLITS-th of what they see.
// Slots come 64 at a time: a thread scores one of them, then sums some dimensions of all (online softmax).
//
// Sources: Dao, FlashAttention-2, 2023; Dao et al., Flash-Decoding, 2023.

@group(0) @binding(0) var<storage, read> cursor: array<Token>;             // [tokens]
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;          // queries, [tokens, HEADS, DIMENSIONS / 4]
@group(0) @binding(2) var<storage, read> rope: array<vec2f>;               // [positions, DIMENSIONS / 2]: cosine, sine
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(4) var<storage, read> keys: array<vec4f>;               // [slots, KV_HEADS, DIMENSIONS / 4]
@group(0) @binding(5) var<storage, read> values: array<f32>;               // [slots, KV_HEADS, DIMENSIONS]
@group(0) @binding(6) var<storage, read_write> out: array<f32>;            // [tokens, HEADS, DIMENSIONS], or parts of it
@group(0) @binding(7) var<uniform> site: Site;

struct Site {
  queries: u32,   // the vector in `projected` where queries begin
  norm: u32,      // the vector of the norm's weight
  epsilon: f32,
  scale: f32,
}

const TILE = 64u;
const SUMS = (DIMENSIONS + TILE - 1u) / TILE;
const LOWEST = -3.4e38;

var<workgroup> query: array<vec4f, GROUP * VECTORS>;
var<workgroup> scores: array<f32, GROUP * TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let token = cursor[group.z];
  let kv_head = group.x / (HEADS / KV_HEADS / GROUP);
  let first_head = group.x * GROUP;
  for (var n = thread; n < GROUP * VECTORS / 2u; n += 64u) {
    let head = n / (VECTORS / 2u);
    let i = n % (VECTORS / 2u);
    let source = site.queries + (group.z * HEADS + first_head + head) * VECTORS;
    var factor = 1.0;
    if NORM {
      var squares = 0.0;
      for (var j = 0u; j < VECTORS; j++) { squares += dot(projected[source + j], projected[source + j]); }
      factor = inverseSqrt(squares / f32(DIMENSIONS) + site.epsilon);
    }
    let pair = rotated(source, i, factor, token.position);
    query[head * VECTORS + i] = pair.a * site.scale;
    query[head * VECTORS + i + VECTORS / 2u] = pair.b * site.scale;
  }
  workgroupBarrier();

  // What it sees: slots of the context, then of its own segment.
  let length = select(token.own_tokens, token.index + 1u, CAUSAL);
  let hidden = max(token.position + 1u, WINDOW) - WINDOW;
  let skipped = min(hidden, token.context_length);
  let context = token.context_length - skipped;
  let own_skipped = hidden - skipped;
  let context_slot = token.context_start + skipped;
  let own_slot = token.own_slot + own_skipped;
  let seen = context + length - own_skipped;
  let span = (seen + SPLITS * TILE - 1u) / (SPLITS * TILE) * TILE;
  let begin = min(group.y * span, seen);
  let end = min(begin + span, seen);

  var sums: array<f32, GROUP * SUMS>;
  var largest: array<f32, GROUP>;
  var total: array<f32, GROUP>;
  for (var head = 0u; head < GROUP; head++) { largest[head] = LOWEST; }
  for (var tile = begin; tile < end; tile += TILE) {
    let n = tile + thread;
    var score: array<f32, GROUP>;
    if n < end {
      let slot = select(own_slot + n - context, context_slot + n, n < context);
      let row = (slot * KV_HEADS + kv_head) * VECTORS;
      for (var i = 0u; i < VECTORS; i++) {
        let key = keys[row + i];
        for (var head = 0u; head < GROUP; head++) { score[head] += dot(key, query[head * VECTORS + i]); }
      }
    }
    for (var head = 0u; head < GROUP; head++) {
      if n >= end { score[head] = LOWEST; }
      scores[head * TILE + thread] = score[head];
    }
    workgroupBarrier();
    var weight: array<f32, GROUP>;
    for (var head = 0u; head < GROUP; head++) {
      var top = largest[head];
      for (var i = 0u; i < TILE; i++) { top = max(top, scores[head * TILE + i]); }
      let shrink = exp(largest[head] - top);
      largest[head] = top;
      total[head] *= shrink;
      for (var i = 0u; i < SUMS; i++) { sums[head * SUMS + i] *= shrink; }
      weight[head] = select(0.0, exp(score[head] - top), n < end);
    }
    workgroupBarrier();
    for (var head = 0u; head < GROUP; head++) { scores[head * TILE + thread] = weight[head]; }
    workgroupBarrier();
    for (var i = 0u; i < min(TILE, end - tile); i++) {
      let m = tile + i;
      let slot = select(own_slot + m - context, context_slot + m, m < context);
      let row = (slot * KV_HEADS + kv_head) * DIMENSIONS;
      for (var head = 0u; head < GROUP; head++) { total[head] += scores[head * TILE + i]; }
      for (var j = 0u; j < SUMS; j++) {
        let dimension = thread + j * TILE;
        if dimension < DIMENSIONS {
          let value = values[row + dimension];
          for (var head = 0u; head < GROUP; head++) { sums[head * SUMS + j] += scores[head * TILE + i] * value; }
        }
      }
    }
    workgroupBarrier();
  }

  for (var head = 0u; head < GROUP; head++) {
    let row = group.z * HEADS + first_head + head;
    for (var j = 0u; j < SUMS; j++) {
      let dimension = thread + j * TILE;
      if dimension < DIMENSIONS {
        if SPLITS == 1u {
          out[row * DIMENSIONS + dimension] = sums[head * SUMS + j] / total[head];
        } else {
          out[(row * SPLITS + group.y) * (DIMENSIONS + 2u) + dimension] = sums[head * SUMS + j];
        }
      }
    }
    if SPLITS > 1u && thread == 0u {
      let at = (row * SPLITS + group.y) * (DIMENSIONS + 2u) + DIMENSIONS;
      out[at] = largest[head];
      out[at + 1u] = total[head];
    }
  }
}
