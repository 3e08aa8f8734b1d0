// Several tokens where each load is dear, as on a CPU that plays the GPU: a thread alone multiplies ROWS rows with
// TILE tokens, and whatever it loads serves as many products as can be. No workgroup memory, no barrier.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS / 4]

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
{% for r in range(ROWS) %}
  {
    let bias = bias(row + {{ r }}u);
  {% for t in range(TILE) %}
    if token + {{ t }}u < site.tokens && row + {{ r }}u < site.rows { write(token + {{ t }}u, row + {{ r }}u, sum{{ r }}_{{ t }} + bias); }
  {% endfor %}
  }
{% endfor %}
}
