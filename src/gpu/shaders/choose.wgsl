// Chooses a token among the most likely ones, says so in a record, and points the cursor at it; one workgroup.

@group(0) @binding(0) var<storage, read> found: array<vec2f>;              // [BLOCKS_OF_LOGITS, MOST + 1], from top_k
@group(0) @binding(1) var<storage, read> choice: Choice;
@group(0) @binding(2) var<storage, read_write> cursor: array<Token>;       // [1]
@group(0) @binding(3) var<storage, read_write> records: array<vec2f>;      // [records, MOST + 2]: id, its logit; sum, largest; id, logit

var<workgroup> best: array<vec3f, 64>;       // logit, id, place in `found`
var<workgroup> taken: array<u32, MOST>;      // places in `found`
var<workgroup> top: array<vec2f, MOST>;      // id, logit

fn better(a: vec3f, b: vec3f) -> vec3f {
  return select(b, a, a.x > b.x || (a.x == b.x && a.y <= b.y));
}

fn weight(n: u32) -> f32 { return exp((top[n].y - top[0].y) / choice.temperature); }

// Among the most likely `count`: temperature, min-p, top-p, then the draw, as the CPU's sampler does.
fn drawn() -> u32 {
  if choice.temperature == 0.0 { return 0u; }
  var count = 0u;
  var total = 0.0;
  for (var n = 0u; n < min(choice.candidates, choice.wanted); n++) {
    let w = weight(n);
    if !(w > 0.0) || w < choice.min_p || top[n].y <= LOWEST { break; }
    total += w;
    count++;
  }
  if choice.top_p < 1.0 {
    var sum = 0.0;
    var kept = 0u;
    for (var n = 0u; n < count; n++) {
      if sum >= choice.top_p * total { break; }
      sum += weight(n);
      kept++;
    }
    count = kept;
    total = sum;
  }
  var left = choice.draw * total;
  for (var n = 0u; n < count; n++) {
    left -= weight(n);
    if left < 0.0 { return n; }
  }
  return max(count, 1u) - 1u;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  let stride = MOST + 1u;
  for (var n = 0u; n < choice.wanted; n++) {
    var mine = vec3f(LOWEST, 3.4e38, 0.0);
    for (var block = thread; block < BLOCKS_OF_LOGITS; block += 64u) {
      // A block's tokens are in order: its next one is after those taken from it.
      var next = 0u;
      for (var i = 0u; i < n; i++) { next += select(0u, 1u, taken[i] / stride == block); }
      if next < choice.wanted {
        let one = found[block * stride + next];
        mine = better(mine, vec3f(one.y, one.x, f32(block * stride + next)));
      }
    }
    workgroupBarrier();
    best[thread] = mine;
    workgroupBarrier();
    if thread == 0u {
      for (var i = 1u; i < 64u; i++) { mine = better(mine, best[i]); }
      top[n] = vec2f(mine.y, mine.x);
      taken[n] = u32(mine.z);
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
  let chosen = top[drawn()];
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
