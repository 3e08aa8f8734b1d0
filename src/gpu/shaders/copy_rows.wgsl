// out[t] = x[first + t], by vectors.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;                  // [tokens, width]
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;          // [tokens, width]
@group(0) @binding(2) var<uniform> site: Site;

struct Site { first: u32, count: u32 }   // in vectors

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  if thread.x < site.count { out[thread.x] = x[site.first + thread.x]; }
}
