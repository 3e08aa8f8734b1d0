// One token: out = norm(x) * matrix^T + bias over up to three matrices, or what is added to `out`, or a gate.
// LANES threads share ROWS rows; each takes every LANES-th block of 32 columns. The norm's root is taken on the way.
// A GPU hides loads behind many threads, which have few rows; a CPU that plays the GPU wants each load to serve many.

@group(0) @binding(3) var<storage, read> x: array<vec4f>;            // [COLUMNS / 4]
@group(0) @binding(4) var<storage, read> update: array<vec4f>;       // [COLUMNS / 4], added to x after a norm
@group(0) @binding(5) var<storage, read> vectors: array<vec4f>;      // norms and biases of the model
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read_write> sum: array<vec4f>;    // [COLUMNS / 4], x after the update
@group(0) @binding(8) var<uniform> site: Site;

struct Site {
  rows: vec4u,      // of each part
  numbers: vec4u,   // the vector where each part's numbers begin
  outputs: vec4u,   // the number in `out` where each part's rows begin
  biases: vec4u,    // the number in `vectors` of each part's bias, NONE for none
  norm: u32,        // the vector of the norm's weight
  update_norm: u32,
  epsilon: f32,
  update_epsilon: f32,
}

const NONE = 0xffffffffu;
const GATE = MODE == 2u;
const THREADS = SLOTS * LANES;
const WIDTH = COLUMNS / 4u;
const BLOCKS = COLUMNS / 32u;

{% set gate = MODE == 2 %}
{% set offsets = [1, 2, 4] %}
{% if LANES > 1 and not SUBGROUPS %}
var<workgroup> shared_sums: array<f32, THREADS * ROWS>;
var<workgroup> shared_squares: array<f32, THREADS>;
{% endif %}

// Slots that have rows of a part.
fn slots(rows: u32) -> u32 { return (rows + ROWS - 1u) / ROWS; }

fn input(i: u32, factor: f32) -> vec4f {
  if UPDATE { return x[i] + update[i] * vectors[site.update_norm + i] * factor; }
  return x[i];
}

fn inputs(i: u32, factor: f32) -> Block {
  return Block(input(i, factor), input(i + 1u, factor), input(i + 2u, factor), input(i + 3u, factor),
    input(i + 4u, factor), input(i + 5u, factor), input(i + 6u, factor), input(i + 7u, factor));
}

fn normed(i: u32, v: Block) -> Block {
  if !NORM { return v; }
  let n = site.norm + i;
  return Block(v.a * vectors[n], v.b * vectors[n + 1u], v.c * vectors[n + 2u], v.d * vectors[n + 3u],
    v.e * vectors[n + 4u], v.f * vectors[n + 5u], v.g * vectors[n + 6u], v.h * vectors[n + 7u]);
}

fn squares_of(v: Block) -> f32 {
  return dot(v.a, v.a) + dot(v.b, v.b) + dot(v.c, v.c) + dot(v.d, v.d)
    + dot(v.e, v.e) + dot(v.f, v.f) + dot(v.g, v.g) + dot(v.h, v.h);
}

fn store(i: u32, v: Block) {
  sum[i] = v.a; sum[i + 1u] = v.b; sum[i + 2u] = v.c; sum[i + 3u] = v.d;
  sum[i + 4u] = v.e; sum[i + 5u] = v.f; sum[i + 6u] = v.g; sum[i + 7u] = v.h;
}

fn total(x: vec4f) -> f32 { return dot(x, vec4f(1.0)); }

fn bias(part: u32, row: u32) -> f32 {
  let start = site.biases[part];
  if start == NONE { return 0.0; }
  return vectors[(start + row) / 4u][(start + row) % 4u];
}

fn write(part: u32, row: u32, value: f32) {
  if row >= site.rows[part] { return; }
  let index = site.outputs[part] + row;
  let v = value + bias(part, row);
  if MODE == 1u { out[index] += v; } else { out[index] = activate(v, ACTIVATION); }
}

fn write_gate(row: u32, gate: f32, up: f32) {
  if row < site.rows.x { out[site.outputs.x + row] = activate(gate, ACTIVATION) * (up + bias(1u, row)); }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
{% for p in range(parts) %}
  _ = &matrix{{ p }}; // bound, even where there is no such part
{% endfor %}
  let lane = thread % LANES;
  let slot = thread / LANES;
  let number = group.x + group.y * groups.x;
  var factor = 1.0;
{% if UPDATE %}
  var update_squares = 0.0;
  for (var i = lane; i < WIDTH; i += LANES) { update_squares += dot(update[i], update[i]); }
  {% if SUBGROUPS %}
    {% for offset in offsets if offset < LANES %}
  update_squares += subgroupShuffleXor(update_squares, {{ offset }}u);
    {% endfor %}
  {% elif LANES > 1 %}
  shared_squares[thread] = update_squares;
  workgroupBarrier();
  update_squares = 0.0;
  for (var i = 0u; i < LANES; i++) { update_squares += shared_squares[slot * LANES + i]; }
  workgroupBarrier();
  {% endif %}
  factor = inverseSqrt(update_squares / f32(COLUMNS) + site.update_epsilon);
{% endif %}
  // The rows of a slot are of one part; a gate's are the same rows of two.
  var part = 0u;
  var place = number * SLOTS + slot;
{% for p in range(0 if gate else PARTS - 1) %}
  if part == {{ p }}u && place >= slots(site.rows[{{ p }}]) {
    place -= slots(site.rows[{{ p }}]);
    part = {{ p + 1 }}u;
  }
{% endfor %}
  let first = place * select(ROWS, ROWS / 2u, GATE);
{% for r in range(ROWS) %}
  let row{{ r }} = min(first + {{ r // 2 if gate else r }}u, site.rows[part] - 1u) * BLOCKS;
  var sum{{ r }} = 0.0;
{% endfor %}
  var squares = 0.0;
{% for p in range(1 if gate else PARTS) %}
  // A loop of one turn: a software adapter goes through both sides of an "if", but not into a loop that is over.
  for (var turn = part; turn == {{ p }}u; turn = NONE) {
    for (var block = lane; block < BLOCKS; block += LANES) {
      let all = inputs(block * 8u, factor);
      if UPDATE && number == 0u && slot == 0u { store(block * 8u, all); }
      if NORM { squares += squares_of(all); }
      let v = normed(block * 8u, all);
      let halves = vec2f(total(v.a + v.b + v.c + v.d), total(v.e + v.f + v.g + v.h));
  {% for r in range(ROWS) %}
    {% set q = r % 2 if gate else p %}
      sum{{ r }} += product(codes{{ q }}(row{{ r }} + block), numbers{{ q }}(row{{ r }} + block, site.numbers[{{ q }}]), v, halves);
  {% endfor %}
    }
  }
{% endfor %}
{% if SUBGROUPS %}
  {% for offset in offsets if offset < LANES %}
  squares += subgroupShuffleXor(squares, {{ offset }}u);
    {% for r in range(ROWS) %}
  sum{{ r }} += subgroupShuffleXor(sum{{ r }}, {{ offset }}u);
    {% endfor %}
  {% endfor %}
  if lane != 0u { return; }
{% elif LANES > 1 %}
  {% for r in range(ROWS) %}
  shared_sums[thread * ROWS + {{ r }}u] = sum{{ r }};
  {% endfor %}
  shared_squares[thread] = squares;
  workgroupBarrier();
  if lane != 0u { return; }
  for (var i = 1u; i < LANES; i++) {
    squares += shared_squares[thread + i];
  {% for r in range(ROWS) %}
    sum{{ r }} += shared_sums[(thread + i) * ROWS + {{ r }}u];
  {% endfor %}
  }
{% endif %}
  var root = 1.0;
  if NORM { root = inverseSqrt(squares / f32(COLUMNS) + site.epsilon); }
{% if gate %}
  {% for g in range(ROWS // 2) %}
  write_gate(first + {{ g }}u, sum{{ 2 * g }} * root, sum{{ 2 * g + 1 }} * root);
  {% endfor %}
{% else %}
  {% for r in range(ROWS) %}
  write(part, first + {{ r }}u, sum{{ r }} * root);
  {% endfor %}
{% endif %}
}
