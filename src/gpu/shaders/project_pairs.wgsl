// Several tokens and 4-bit weights, where each instruction counts, as on a CPU that plays the GPU: a thread alone
// multiplies ROWS rows with TILE tokens, two at a time. A word is a sum of two tokens' activations in 8 bits,
// the second's 16 bits higher, so that an integer product is two: 32 of at most 8 * 127 fit half a word.

@group(0) @binding(1) var<storage, read> pairs: array<vec4u>;        // [tokens / 2, blocks, 5], from `quantise`

// A float that is a whole number, of less than 2^22; `i32` looks for numbers out of its range as well.
fn whole(number: f32) -> i32 { return bitcast<i32>(number + 0x1.8p23) - 0x4b400000; }

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let row = thread.x * ROWS;
  let pair = site.first / 2u + thread.y * (TILE / 2u);
{% for r in range(ROWS) %}
  let row{{ r }} = min(row + {{ r }}u, site.rows - 1u) * site.blocks;
  {% for p in range(TILE // 2) %}
  var first{{ r }}_{{ p }} = 0.0;
  var second{{ r }}_{{ p }} = 0.0;
  {% endfor %}
{% endfor %}
{% for p in range(TILE // 2) %}
  let from{{ p }} = min(pair + {{ p }}u, (site.tokens - 1u) / 2u) * site.blocks * 5u;
{% endfor %}
  for (var block = 0u; block < site.blocks; block++) {
{% for r in range(ROWS) %}
  {% for p in range(TILE // 2) %}
    var sum{{ r }}_{{ p }} = 0;
  {% endfor %}
{% endfor %}
    for (var quarter = 0u; quarter < 4u; quarter++) {
{% for p in range(TILE // 2) %}
      let words{{ p }} = pairs[from{{ p }} + block * 5u + quarter];
  {% for c in range(4) %}
      let x{{ p }}_{{ 2 * c }} = i32(words{{ p }}[{{ c }}] & 0x00ff00ffu) - 0x00800080;
      let x{{ p }}_{{ 2 * c + 1 }} = i32((words{{ p }}[{{ c }}] >> 8u) & 0x00ff00ffu) - 0x00800080;
  {% endfor %}
{% endfor %}
{% for r in range(ROWS) %}
      {
        let word = matrix0[row{{ r }} + block][quarter];
        let w0 = i32(word & 15u) - 8;
  {% for c in range(1, 7) %}
    {% set shift = (c % 4) * 8 + (c // 4) * 4 %}
        let w{{ c }} = whole(f32(i32(word & (15u << {{ shift }}u))) * 0x1p-{{ shift }} - 8.0);
  {% endfor %}
        // With its highest bit turned over, the last code is a signed number.
        let w7 = whole(f32(i32((word ^ 0x80000000u) & 0xf0000000u)) * 0x1p-28);
  {% for p in range(TILE // 2) %}
        sum{{ r }}_{{ p }} += w0 * x{{ p }}_0 + w1 * x{{ p }}_1 + w2 * x{{ p }}_2 + w3 * x{{ p }}_3
          + w4 * x{{ p }}_4 + w5 * x{{ p }}_5 + w6 * x{{ p }}_6 + w7 * x{{ p }}_7;
  {% endfor %}
      }
{% endfor %}
    }
{% for p in range(TILE // 2) %}
    let n{{ p }} = bitcast<vec4f>(pairs[from{{ p }} + block * 5u + 4u]);
{% endfor %}
{% for r in range(ROWS) %}
    {
      let n = numbers0(row{{ r }} + block, site.numbers);
      let minimum = n.y + 8.0 * n.x;
  {% for p in range(TILE // 2) %}
      let s{{ p }} = sum{{ r }}_{{ p }} + 0x8000;
      first{{ r }}_{{ p }} += (f32(s{{ p }} & 0xffff) - 32768.0) * n{{ p }}.x * n.x + minimum * n{{ p }}.z;
      second{{ r }}_{{ p }} += f32(i32(u32(s{{ p }}) & 0xffff0000u)) * 0x1p-16 * n{{ p }}.y * n.x + minimum * n{{ p }}.w;
  {% endfor %}
    }
{% endfor %}
  }
{% for r in range(ROWS) %}
  {
    let bias = bias(row + {{ r }}u);
  {% for p in range(TILE // 2) %}
    write((pair + {{ p }}u) * 2u, row + {{ r }}u, first{{ r }}_{{ p }} + bias);
    write((pair + {{ p }}u) * 2u + 1u, row + {{ r }}u, second{{ r }}_{{ p }} + bias);
  {% endfor %}
  }
{% endfor %}
}
