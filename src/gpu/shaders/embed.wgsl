// out[t] = table[id(t)] * scale; a thread decodes 8 columns.

@group(0) @binding(3) var<storage, read> cursor: array<Token>;             // [tokens]
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;          // [tokens, COLUMNS / 4]
@group(0) @binding(5) var<uniform> site: Site;

struct Site { rows: vec4u, numbers: vec4u, scale: f32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let eighth = thread.x;
  if eighth >= COLUMNS / 8u { return; }
  let row = cursor[thread.y].id;
  var eight = Eight();
  if row < site.rows.x {
    eight = weights0(row * (COLUMNS / 32u) + eighth / 4u, eighth % 4u, site.numbers.x);
  } else if row < site.rows.x + site.rows.y {
    eight = weights1((row - site.rows.x) * (COLUMNS / 32u) + eighth / 4u, eighth % 4u, site.numbers.y);
  } else {
    eight = weights2((row - site.rows.x - site.rows.y) * (COLUMNS / 32u) + eighth / 4u, eighth % 4u, site.numbers.z);
  }
  let at = thread.y * (COLUMNS / 4u) + eighth * 2u;
  out[at] = eight.a * site.scale;
  out[at + 1u] = eight.b * site.scale;
}
