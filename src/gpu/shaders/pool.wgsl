// Pools the tokens of each segment into a row of `out`; a segment with context goes on with its row.

@group(0) @binding(0) var<storage, read> x: array<f32>;                    // [tokens, WIDTH]
@group(0) @binding(1) var<storage, read> segments: array<vec4u>;           // first token, tokens, earlier tokens, row
@group(0) @binding(2) var<storage, read_write> out: array<f32>;            // [rows, WIDTH]

const MEAN = 0u;
const LAST = 1u;
const FIRST = 2u;
const MAX = 3u;

// The larger number; one that is no number wins, so that it shows.
fn larger(a: f32, b: f32) -> f32 { return select(b, a, a > b || a != a); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  if thread.x >= WIDTH { return; }
  let segment = segments[thread.y];
  let before = segment.z;
  let start = segment.x * WIDTH + thread.x;
  let to = segment.w * WIDTH + thread.x;
  if POOLING == FIRST {
    if before == 0u { out[to] = x[start]; }
    return;
  }
  if POOLING == LAST {
    out[to] = x[start + (segment.y - 1u) * WIDTH];
    return;
  }
  if POOLING == MAX {
    var value = x[start];
    if before > 0u { value = larger(out[to], value); }
    for (var i = 1u; i < segment.y; i++) { value = larger(value, x[start + i * WIDTH]); }
    out[to] = value;
    return;
  }
  var sum = 0.0;
  if before > 0u { sum = out[to] * f32(before); }
  for (var i = 0u; i < segment.y; i++) { sum += x[start + i * WIDTH]; }
  out[to] = sum / f32(before + segment.y);
}
