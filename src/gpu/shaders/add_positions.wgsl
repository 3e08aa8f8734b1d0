// x[t] += table[position(t)] + bias; a thread adds 8 columns.

@group(0) @binding(1) var<storage, read> cursor: array<Token>;             // [tokens]
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;            // [tokens, COLUMNS / 4]
@group(0) @binding(4) var<uniform> site: Site;

struct Site { numbers: u32, bias: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let eighth = thread.x;
  if eighth >= COLUMNS / 8u { return; }
  let eight = weights0(cursor[thread.y].position * (COLUMNS / 32u) + eighth / 4u, eighth % 4u, site.numbers);
  let at = thread.y * (COLUMNS / 4u) + eighth * 2u;
  x[at] += eight.a + vectors[site.bias + eighth * 2u];
  x[at + 1u] += eight.b + vectors[site.bias + eighth * 2u + 1u];
}
