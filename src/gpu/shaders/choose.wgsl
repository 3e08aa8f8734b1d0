// Chooses a token among the most likely ones, or those drawn, says so in a record, and points the cursor at it; one workgroup.

@group(0) @binding(0) var<storage, read> found: array<vec2f>;              // [BLOCKS_OF_LOGITS, MOST + 1], from top_k
@group(0) @binding(1) var<storage, read> choice: Choice;
@group(0) @binding(2) var<storage, read_write> cursor: array<Token>;       // [1]
@group(0) @binding(3) var<storage, read_write> records: array<vec2f>;      // [records, MOST + 2]: id, its logit; sum, largest; id, logit

{% if DRAWS %}
@group(0) @binding(4) var<storage, read> drawn: array<vec2f>;              // [DRAWS], from draw or cut
@group(0) @binding(5) var<storage, read> logits: array<f32>;               // [vocabulary]
{% endif %}
{% if PENALTY %}
@group(0) @binding(6) var<storage, read_write> seen: array<u32>;           // a bit for each token
{% endif %}

var<workgroup> best: array<vec2f, 64>;       // logit, place in `found`
var<workgroup> taken: array<u32, MOST>;      // places in `found`
var<workgroup> top: array<vec2f, MOST>;      // id, logit

{% if DRAWS %}
// Of the tokens drawn; with its logit before the penalty.
fn pick() -> vec2f {
  var token = drawn[0];
  for (var n = 1u; n < DRAWS; n++) { token = better(token, drawn[n]); }
  let id = u32(token.y);
  var logit = logits[id];
{% if PENALTY %}
  let bits = seen[id / 32u];
  let bit = 1u << (id % 32u);
  if (bits & bit) != 0u { logit = select(logit / choice.penalty, logit * choice.penalty, logit > 0.0); }
  seen[id / 32u] = bits | bit;
{% endif %}
  return vec2f(token.y, logit);
}
{% else %}
fn distance_of(n: u32) -> f32 { return top[0].y - top[n].y; }

// Of the most likely tokens: min-p, top-p, then a draw, as the engine's sampler does.
fn pick() -> vec2f {
  if choice.temperature == 0.0 { return top[0]; }
  var count = 0u;
  var total = 0.0;
  for (var n = 0u; n < min(choice.candidates, choice.wanted); n++) {
    if !(distance_of(n) <= choice.reach) || top[n].y <= LOWEST { break; }
    total += weight(distance_of(n));
    count++;
  }
  if choice.top_p < 1.0 {
    var sum = 0.0;
    var kept = 0u;
    for (var n = 0u; n < count; n++) {
      if sum >= choice.top_p * total { break; }
      sum += weight(distance_of(n));
      kept++;
    }
    count = kept;
  }
  var token = vec2f(LOWEST, 3.4e38);
  var place = 0u;
  for (var n = 0u; n < count; n++) {
    let one = vec2f(top[n].y + choice.temperature * noise(u32(top[n].x)), top[n].x);
    if all(better(token, one) == one) {
      token = one;
      place = n;
    }
  }
  return top[place];
}
{% endif %}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  let stride = MOST + 1u;
  for (var n = 0u; n < choice.wanted; n++) {
    var mine = vec2f(LOWEST, 3.4e38);
    for (var block = thread; block < BLOCKS_OF_LOGITS; block += 64u) {
      // A block's tokens are in order: its next one is after those taken from it.
      var next = 0u;
      for (var i = 0u; i < n; i++) { next += select(0u, 1u, taken[i] / stride == block); }
      if next < choice.wanted {
        let place = block * stride + next;
        mine = better(mine, vec2f(found[place].y, f32(place)));
      }
    }
    workgroupBarrier();
    best[thread] = mine;
    workgroupBarrier();
    if thread == 0u {
      for (var i = 1u; i < 64u; i++) { mine = better(mine, best[i]); }
      taken[n] = u32(mine.y);
      top[n] = found[taken[n]];
    }
    workgroupBarrier();
  }
  if thread != 0u { return; }
  let largest = top[0].y;
  var sum = 0.0;
  for (var block = 0u; block < BLOCKS_OF_LOGITS; block++) {
    let one = found[block * stride + MOST];
    sum += one.y * exp(one.x - largest);
  }
  let chosen = pick();
  let to = choice.record * (MOST + 2u);
  records[to] = chosen;
  records[to + 1u] = vec2f(sum, largest);
  for (var n = 0u; n < choice.wanted; n++) { records[to + 2u + n] = top[n]; }
  var token = cursor[0];
  token.id = u32(chosen.x);
  token.slot += ADVANCE;
  token.position += ADVANCE;
  token.context_length += ADVANCE;
  token.own_slot += ADVANCE;
  cursor[0] = token;
}
