// x[t] = layer_norm(x[t]) * weight + bias; a workgroup a token.

@group(0) @binding(0) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;            // [tokens, WIDTH]
@group(0) @binding(2) var<uniform> site: Site;

struct Site { weight: u32, bias: u32, epsilon: f32 }

const COUNT = f32(WIDTH * 4u);

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = group.x * WIDTH;
  var sum = 0.0;
  for (var i = thread; i < WIDTH; i += 64u) { sum += dot(x[row + i], vec4f(1.0)); }
  sums[thread] = sum;
  workgroupBarrier();
  sum = 0.0;
  for (var i = 0u; i < 64u; i++) { sum += sums[i]; }
  let mean = sum / COUNT;
  workgroupBarrier();
  // The variance from the differences: a large mean would cancel it.
  sum = 0.0;
  for (var i = thread; i < WIDTH; i += 64u) {
    let v = x[row + i] - mean;
    sum += dot(v, v);
  }
  sums[thread] = sum;
  workgroupBarrier();
  sum = 0.0;
  for (var i = 0u; i < 64u; i++) { sum += sums[i]; }
  let factor = inverseSqrt(sum / COUNT + site.epsilon);
  for (var i = thread; i < WIDTH; i += 64u) {
    x[row + i] = (x[row + i] - mean) * factor * vectors[site.weight + i] + vectors[site.bias + i];
  }
}
