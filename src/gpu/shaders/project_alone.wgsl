// Several tokens where each load is dear, as on a CPU that plays the GPU: a thread alone multiplies ROWS rows with
// TILE tokens, and whatever it loads serves as many products as can be. No workgroup memory, no barrier.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS / 4]
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;      // norms and biases of the model
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [tokens, stride]
@group(0) @binding(4) var<uniform> site: Site;

struct Site {
  first: u32,      // the first token of the first tile
  tokens: u32,     // to before this one
  rows: u32,
  numbers: u32,    // the vector where the numbers begin
  output: u32,     // the number in `out` of row 0 of token 0
  stride: u32,     // from token to token in `out`
  bias: u32,       // the number in `vectors` of the bias, NONE for none
  blocks: u32,     // of a row
  mode: u32,
  activation: u32,
}

const NONE = 0xffffffffu;

fn write(token: u32, row: u32, value: f32) {
  if token >= site.tokens || row >= site.rows { return; }
  let index = site.output + token * site.stride + row;
  var v = value;
  if site.bias != NONE { v += vectors[(site.bias + row) / 4u][(site.bias + row) % 4u]; }
  if site.mode == 1u { v += out[index]; }
  out[index] = activate(v, site.activation);
}

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x * ROWS;
  let token = site.first + thread.y * TILE;
{% for r in range(ROWS) %}
  let row{{ r }} = min(row + {{ r }}u, site.rows - 1u) * site.blocks;
  {% for t in range(TILE) %}
  var sum{{ r }}_{{ t }} = 0.0;
  {% endfor %}
{% endfor %}
{% for t in range(TILE) %}
  let from{{ t }} = min(token + {{ t }}u, site.tokens - 1u) * site.blocks * 8u;
{% endfor %}
  for (var block = 0u; block < site.blocks; block++) {
{% for r in range(ROWS) %}
    let n{{ r }} = numbers0(row{{ r }} + block, site.numbers);
{% endfor %}
    for (var quarter = 0u; quarter < 4u; quarter++) {
      let i = block * 8u + quarter * 2u;
{% for t in range(TILE) %}
      let a{{ t }} = x[from{{ t }} + i];
      let b{{ t }} = x[from{{ t }} + i + 1u];
{% endfor %}
{% for r in range(ROWS) %}
      {
        let codes = eight0(row{{ r }} + block, quarter);
        let n = select(n{{ r }}.xy, n{{ r }}.zw, quarter >= 2u);
        let v = codes.a * n.x + n.y;
        let w = codes.b * n.x + n.y;
  {% for t in range(TILE) %}
        sum{{ r }}_{{ t }} += dot(v, a{{ t }}) + dot(w, b{{ t }});
  {% endfor %}
      }
{% endfor %}
    }
  }
{% for t in range(TILE) %}
  {% for r in range(ROWS) %}
  write(token + {{ t }}u, row + {{ r }}u, sum{{ r }}_{{ t }});
  {% endfor %}
{% endfor %}
}
