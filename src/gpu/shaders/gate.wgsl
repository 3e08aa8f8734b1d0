// gate = activation(gate) * up, element by element.

@group(0) @binding(0) var<storage, read> up: array<f32>;                   // [count]
@group(0) @binding(1) var<storage, read_write> gate: array<f32>;           // [count]
@group(0) @binding(2) var<uniform> site: Site;

struct Site { count: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = thread.x + thread.y * groups.x * 64u;
  if i < site.count { gate[i] = activate(gate[i], ACTIVATION) * up[i]; }
}
