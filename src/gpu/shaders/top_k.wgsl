// The most likely tokens of each 1024 logits, and the sum of exponentials of all of them; a workgroup each. With a
// penalty, it is on the logits of tokens seen before when they are left.

@group(0) @binding(0) var<storage, {{ "read_write" if PENALTY else "read" }}> logits: array<f32>;   // [vocabulary]
@group(0) @binding(1) var<storage, read> choice: Choice;
@group(0) @binding(2) var<storage, read_write> found: array<vec2f>;        // [blocks, MOST + 1]: id, logit; then largest, sum
{% if PENALTY %}
@group(0) @binding(3) var<storage, read> seen: array<u32>;                 // a bit for each token
{% endif %}

const OWN = 16u;

var<workgroup> best: array<vec2f, 64>;   // logit, place

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let first = group.x * 1024u;
  let to = group.x * (MOST + 1u);
  var own = array<f32, OWN>();
  var largest = LOWEST;
  for (var i = 0u; i < OWN; i++) {
    let place = first + i * 64u + thread;
    own[i] = LOWEST;
    if place < VOCABULARY { own[i] = logits[place]; }
    largest = max(largest, own[i]);
{% if PENALTY %}
    if place < VOCABULARY && (seen[place / 32u] & (1u << (place % 32u))) != 0u {
      logits[place] = select(own[i] * choice.penalty, own[i] / choice.penalty, own[i] > 0.0);
    }
{% endif %}
  }
  best[thread] = vec2f(largest, 0.0);
  workgroupBarrier();
  for (var i = 0u; i < 64u; i++) { largest = max(largest, best[i].x); }
  var sum = 0.0;
  for (var i = 0u; i < OWN; i++) {
    if first + i * 64u + thread < VOCABULARY { sum += exp(own[i] - largest); }
  }
  workgroupBarrier();
  best[thread] = vec2f(sum, 0.0);
  workgroupBarrier();
  if thread == 0u {
    sum = 0.0;
    for (var i = 0u; i < 64u; i++) { sum += best[i].x; }
    found[to + MOST] = vec2f(largest, sum);
  }
  for (var n = 0u; n < choice.wanted; n++) {
    var mine = vec2f(LOWEST, f32(OWN * 64u));
    for (var i = 0u; i < OWN; i++) { mine = better(mine, vec2f(own[i], f32(i * 64u + thread))); }
    workgroupBarrier();
    best[thread] = mine;
    workgroupBarrier();
    var top = best[0];
    for (var i = 1u; i < 64u; i++) { top = better(top, best[i]); }
    if thread == 0u { found[to + n] = vec2f(f32(first) + top.y, top.x); }
    if u32(top.y) % 64u == thread {
      for (var i = 0u; i < OWN; i++) { if i == u32(top.y) / 64u { own[i] = LOWEST; } }
    }
  }
}
