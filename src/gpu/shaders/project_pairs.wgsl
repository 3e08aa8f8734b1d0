// Several tokens and 4-bit weights, where each instruction counts, as on a CPU that plays the GPU: a thread alone
// multiplies ROWS rows with TILE tokens, two at a time. A word is a sum of two tokens' activations in 8 bits,
// the second's 16 bits higher, so that an integer product is two: 32 of at most 8 * 127 fit half a word.
// Products and sums are unsigned: what is signed Tint turns into unsigned and back, and each turn is a copy.
// With SUBGROUPS four threads, of the same tokens but different rows, load a quarter of the tokens each and swap.

@group(0) @binding(1) var<storage, read> pairs: array<vec4u>;        // [tokens / 2, blocks, 5], from `quantise`

{% set PAIRS = TILE // 2 %}
{# Of the columns of a word, from which bit on. #}
{% set shifts = [0, 8, 16, 24, 4, 12, 20, 28] %}
{% set swaps = ["", "quadSwapX", "quadSwapY", "quadSwapDiagonal"] %}
{% macro pair(p) %}{% if SUBGROUPS %}{{ p // 4 * 4 }}u + (lane ^ {{ p % 4 }}u){% else %}{{ p }}u{% endif %}{% endmacro %}

// A float that is a whole number, of less than 2^22; below zero it wraps, as products and sums do. `i32` looks for numbers
// out of its range as well.
fn whole(number: f32) -> u32 { return bitcast<u32>(number + 0x1.8p23) - 0x4b400000u; }

@compute @workgroup_size(4)
{% if SUBGROUPS %}
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation & 3u;
{% else %}
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
{% endif %}
  let row = (group.x * 4u + lane) * ROWS;
  let pair = site.first / 2u + group.y * {{ PAIRS }}u;
{% for r in range(ROWS) %}
  let row{{ r }} = min(row + {{ r }}u, site.rows - 1u) * site.blocks;
  {% for p in range(PAIRS) %}
  var first{{ r }}_{{ p }} = 0.0;
  var second{{ r }}_{{ p }} = 0.0;
  {% endfor %}
{% endfor %}
{% for p in range(0, PAIRS, 4 if SUBGROUPS else 1) %}
  let from{{ p }} = min(pair + {{ pair(p) }}, (site.tokens - 1u) / 2u) * site.blocks * 5u;
{% endfor %}
  for (var block = 0u; block < site.blocks; block++) {
{% for p in range(PAIRS) %}
  {% set own = p // 4 * 4 %}
  {% set swap = swaps[p % 4] %}
  {% for q in range(4) %}
    {% if SUBGROUPS and p != own %}
    let even{{ p }}_{{ q }} = {{ swap }}(even{{ own }}_{{ q }});
    let odd{{ p }}_{{ q }} = {{ swap }}(odd{{ own }}_{{ q }});
    {% else %}
    let words{{ p }}_{{ q }} = pairs[from{{ p }} + block * 5u + {{ q }}u];
    let even{{ p }}_{{ q }} = (words{{ p }}_{{ q }} & vec4u(0x00ff00ffu)) - vec4u(0x00800080u);
    let odd{{ p }}_{{ q }} = ((words{{ p }}_{{ q }} >> vec4u(8u)) & vec4u(0x00ff00ffu)) - vec4u(0x00800080u);
    {% endif %}
  {% endfor %}
  {% if SUBGROUPS and p != own %}
    let n{{ p }} = {{ swap }}(n{{ own }});
  {% else %}
    let n{{ p }} = bitcast<vec4f>(pairs[from{{ p }} + block * 5u + 4u]) * vec4f(1.0, 0x1p-16, 1.0, 1.0);
  {% endif %}
{% endfor %}
{% for r in range(ROWS) %}
    {
      let words = matrix0[row{{ r }} + block];
      let n = numbers0(row{{ r }} + block, site.numbers);
      let minimum = n.y + 8.0 * n.x;
  {% for q in range(4) %}
      let word{{ q }} = words[{{ q }}];
      let w{{ q }}_0 = (word{{ q }} & 15u) - 8u;
    {% for c in range(1, 7) %}
      let w{{ q }}_{{ c }} = whole(f32(i32(word{{ q }} & (15u << {{ shifts[c] }}u))) * 0x1p-{{ shifts[c] }} - 8.0);
    {% endfor %}
      // With its highest bit turned over, the last code is a signed number.
      let w{{ q }}_7 = whole(f32(i32((word{{ q }} ^ 0x80000000u) & 0xf0000000u)) * 0x1p-28);
  {% endfor %}
  {% for p in range(PAIRS) %}
      {
        let sum = 0x8000u
    {% for q in range(4) %}
          + w{{ q }}_0 * even{{ p }}_{{ q }}.x + w{{ q }}_1 * odd{{ p }}_{{ q }}.x
          + w{{ q }}_2 * even{{ p }}_{{ q }}.y + w{{ q }}_3 * odd{{ p }}_{{ q }}.y
          + w{{ q }}_4 * even{{ p }}_{{ q }}.z + w{{ q }}_5 * odd{{ p }}_{{ q }}.z
          + w{{ q }}_6 * even{{ p }}_{{ q }}.w + w{{ q }}_7 * odd{{ p }}_{{ q }}.w
    {% endfor %}
        ;
        first{{ r }}_{{ p }} += n.x * (n{{ p }}.x * (f32(i32(sum & 0xffffu)) - 32768.0)) + minimum * n{{ p }}.z;
        second{{ r }}_{{ p }} += n.x * (n{{ p }}.y * f32(i32(sum & 0xffff0000u))) + minimum * n{{ p }}.w;
      }
  {% endfor %}
    }
{% endfor %}
  }
{% for r in range(ROWS) %}
  let bias{{ r }} = bias(row + {{ r }}u);
{% endfor %}
{% for p in range(PAIRS) %}
  {% for which in ["first", "second"] %}
  {
    let token = (pair + {{ pair(p) }}) * 2u + {{ loop.index0 }}u;
    if token < site.tokens {
    {% if FOURS %}
      {% for r in range(0, ROWS, 4) %}
      write(token, row + {{ r }}u, vec4f({% for i in range(r, r + 4) %}{{ which }}{{ i }}_{{ p }} + bias{{ i }}, {% endfor %}));
      {% endfor %}
    {% else %}
      {% for r in range(ROWS) %}
      if row + {{ r }}u < site.rows { write(token, row + {{ r }}u, {{ which }}{{ r }}_{{ p }} + bias{{ r }}); }
      {% endfor %}
    {% endif %}
    }
  }
  {% endfor %}
{% endfor %}
}
