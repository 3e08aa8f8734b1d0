// Draws a token where only some are candidates: those within reach of the largest logit, of these the top-k, of these the
// top-p. It is the one whose logit and noise are the largest together; one workgroup.

@group(0) @binding(0) var<storage, read> logits: array<f32>;              // [vocabulary]
@group(0) @binding(1) var<storage, read> choice: Choice;
@group(0) @binding(2) var<storage, read_write> drawn: array<vec2f>;       // [1]: logit and noise, token

const THREADS = 256u;

// Where candidates end. Distances from the largest logit are not negative, so their bits are in their order.
struct Cutoff {
  largest: f32,   // logit
  edge: u32,      // bits of the last candidates' distance
  last: u32,      // of those at the edge, the last token that may be drawn
}

fn is_inside(cutoff: Cutoff, distance: u32, token: u32) -> bool {
  return distance < cutoff.edge || (distance == cutoff.edge && token <= cutoff.last);
}

var<workgroup> parts: array<vec3f, THREADS>;
var<workgroup> narrower: Cutoff;

// All threads' parts joined, in the first's place.
{% macro join(mine, joined) %}
  workgroupBarrier();
  parts[thread] = {{ mine }};
  workgroupBarrier();
  for (var step = THREADS / 2u; step > 0u; step /= 2u) {
    if thread < step {
      let part = parts[thread];
      let other = parts[thread + step];
      parts[thread] = {{ joined }};
    }
    workgroupBarrier();
  }
{% endmacro %}

fn largest_logit(thread: u32) -> f32 {
  var largest = LOWEST;
  for (var i = thread; i < VOCABULARY; i += THREADS) { largest = max(largest, logits[i]); }
  {{ join("vec3f(largest)", "max(part, other)") }}
  return parts[0].x;
}

// What a candidate counts: itself, or its weight.
fn measure(distance: u32, by_weight: bool) -> f32 {
  return select(1.0, weight(bitcast<f32>(distance)), by_weight);
}

// All candidates within three edges.
fn within(thread: u32, cutoff: Cutoff, edges: vec3u, by_weight: bool) -> vec3f {
  var mine = vec3f();
  for (var i = thread; i < VOCABULARY; i += THREADS) {
    let distance = bitcast<u32>(cutoff.largest - logits[i]);
    let counted = select(0.0, measure(distance, by_weight), is_inside(cutoff, distance, i));
    mine += select(vec3f(), vec3f(counted), vec3u(distance) < edges);
  }
  {{ join("mine", "part + other") }}
  return parts[0];
}

// Keeps candidates, the nearest first, while those before them come to less than `goal`.
fn narrowed(thread: u32, cutoff: Cutoff, goal: f32, by_weight: bool) -> Cutoff {
  // The edge's bits from the top, two at a time; what is before it, and what is before the next distance.
  var edge = 0u;
  var before = 0.0;
  var through = 0.0;
  for (var turn = 0u; turn < 16u; turn++) {
    let unit = 1u << (30u - 2u * turn);
    let sums = within(thread, cutoff, vec3u(edge) + vec3u(1u, 2u, 3u) * unit, by_weight);
    let less = sums < vec3f(goal);
    edge += dot(vec3u(less), vec3u(unit));
    before = select(select(select(before, sums.x, less.x), sums.y, less.y), sums.z, less.z);
    through = select(sums.x, select(sums.y, select(sums.z, through, less.z), less.y), less.x);
  }
  if thread == 0u {
    var next = cutoff;
    if edge < cutoff.edge { next = Cutoff(cutoff.largest, edge, VOCABULARY); }
    // Of several tokens at the edge, the first stay.
    let one = measure(edge, by_weight);
    if edge <= cutoff.edge && through - before > 1.5 * one {
      var left = goal - before;
      for (var i = 0u; i < VOCABULARY && left > 0.0; i++) {
        if bitcast<u32>(cutoff.largest - logits[i]) == edge {
          next.last = i;
          left -= one;
        }
      }
    }
    narrower = next;
  }
  workgroupBarrier();
  return narrower;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32) {
  let largest = largest_logit(thread);
  var cutoff = Cutoff(largest, bitcast<u32>(choice.reach), VOCABULARY);
  if choice.candidates < VOCABULARY {
    cutoff = narrowed(thread, cutoff, f32(choice.candidates), false);
  }
  if choice.top_p < 1.0 {
    let all = within(thread, cutoff, vec3u(0xffffffffu), true);
    cutoff = narrowed(thread, cutoff, choice.top_p * all.x, true);
  }
  var mine = vec2f(LOWEST, 3.4e38);
  for (var token = thread; token < VOCABULARY; token += THREADS) {
    let logit = logits[token];
    if is_inside(cutoff, bitcast<u32>(cutoff.largest - logit), token) {
      mine = better(mine, vec2f(logit + choice.temperature * noise(token), f32(token)));
    }
  }
  {{ join("vec3f(mine, 0.0)", "vec3f(better(part.xy, other.xy), 0.0)") }}
  if thread == 0u { drawn[0] = parts[0].xy; }
}
