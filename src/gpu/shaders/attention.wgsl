// Attention of one token: a workgroup takes GROUP query heads that share keys and a SPLITS-th of what they see.
// Slots come 64 at a time: a thread scores one of them, then sums some dimensions of all (online softmax).
//
// Sources: Dao, FlashAttention-2, 2023; Dao et al., Flash-Decoding, 2023.

const TILE = 64u;
const SUMS = (DIMENSIONS + TILE - 1u) / TILE;

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
    let pair = rotated(source, i, query_factor(source), token.position);
    query[head * VECTORS + i] = pair.a * site.scale;
    query[head * VECTORS + i + VECTORS / 2u] = pair.b * site.scale;
  }
  workgroupBarrier();

  let seen = seen_by(token, group.y, TILE);
  var sums = array<f32, GROUP * SUMS>();
  var largest = array<f32, GROUP>();
  var total = array<f32, GROUP>();
  for (var head = 0u; head < GROUP; head++) { largest[head] = LOWEST; }
  for (var tile = seen.begin; tile < seen.end; tile += TILE) {
    let n = tile + thread;
    var score = array<f32, GROUP>();
    if n < seen.end {
      let row = (slot_of(seen, n) * KV_HEADS + kv_head) * VECTORS;
      for (var i = 0u; i < VECTORS; i++) {
        let key = keys[row + i];
        for (var head = 0u; head < GROUP; head++) { score[head] += dot(key, query[head * VECTORS + i]); }
      }
    }
    for (var head = 0u; head < GROUP; head++) {
      if n >= seen.end { score[head] = LOWEST; }
      scores[head * TILE + thread] = score[head];
    }
    workgroupBarrier();
    var weight = array<f32, GROUP>();
    for (var head = 0u; head < GROUP; head++) {
      var top = largest[head];
      for (var i = 0u; i < TILE; i++) { top = max(top, scores[head * TILE + i]); }
      let shrink = exp(largest[head] - top);
      largest[head] = top;
      total[head] *= shrink;
      for (var i = 0u; i < SUMS; i++) { sums[head * SUMS + i] *= shrink; }
      weight[head] = select(0.0, exp(score[head] - top), n < seen.end);
    }
    workgroupBarrier();
    for (var head = 0u; head < GROUP; head++) { scores[head * TILE + thread] = weight[head]; }
    workgroupBarrier();
    for (var i = 0u; i < min(TILE, seen.end - tile); i++) {
      let m = tile + i;
      let row = (slot_of(seen, m) * KV_HEADS + kv_head) * DIMENSIONS;
      for (var head = 0u; head < GROUP; head++) { total[head] += scores[head * TILE + i]; }
      for (var j = 0u; j < SUMS; j++) {
        let dimension = thread + j * TILE;
        if dimension < DIMENSIONS {
          let value = values[(row + dimension) / 4u][dimension % 4u];
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
