// Joins the parts of a split attention: weights are relative to each part's largest score; a workgroup a head.

@group(0) @binding(0) var<storage, read> parts: array<f32>;                // [rows, SPLITS, DIMENSIONS + 2]: sums, largest, total
@group(0) @binding(1) var<storage, read_write> out: array<f32>;            // [rows, DIMENSIONS]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let stride = DIMENSIONS + 2u;
  let row = group.x * SPLITS * stride;
  var largest = -3.4e38;
  for (var i = 0u; i < SPLITS; i++) { largest = max(largest, parts[row + i * stride + DIMENSIONS]); }
  var total = 0.0;
  for (var i = 0u; i < SPLITS; i++) {
    total += parts[row + i * stride + DIMENSIONS + 1u] * exp(parts[row + i * stride + DIMENSIONS] - largest);
  }
  for (var j = thread; j < DIMENSIONS; j += 64u) {
    var sum = 0.0;
    for (var i = 0u; i < SPLITS; i++) {
      sum += parts[row + i * stride + j] * exp(parts[row + i * stride + DIMENSIONS] - largest);
    }
    out[group.x * DIMENSIONS + j] = sum / total;
  }
}
