// One token: out = norm(x) * matrix^T + bias over up to three matrices, or what is added to `out`, or a gate.
// 8 threads share two rows; each takes every 8th block of 32 columns. The norm's root is taken on the way.

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
const LANES = 8u;
const WIDTH = COLUMNS / 4u;

var<workgroup> shared_sums: array<vec4f, 64>;
var<workgroup> shared_squares: array<f32, 64>;

fn row_product(part: u32, row: u32, block: u32, x: Block, sums: vec2f) -> f32 {
  if PARTS == 1u || part == 0u {
    return product(codes0(row, block), numbers0(row, block, site.numbers.x), x, sums);
  } else if PARTS == 2u || part == 1u {
    return product(codes1(row, block), numbers1(row, block, site.numbers.y), x, sums);
  }
  return product(codes2(row, block), numbers2(row, block, site.numbers.z), x, sums);
}

// Part and row of a row that is numbered through all parts.
fn place(row: u32) -> vec2u {
  if PARTS == 1u { return vec2u(0u, min(row, site.rows.x - 1u)); }
  if row < site.rows.x { return vec2u(0u, row); }
  if PARTS == 2u || row < site.rows.x + site.rows.y { return vec2u(1u, min(row - site.rows.x, site.rows.y - 1u)); }
  return vec2u(2u, min(row - site.rows.x - site.rows.y, site.rows.z - 1u));
}

fn input(i: u32, factor: f32) -> vec4f {
  if UPDATE { return x[i] + update[i] * vectors[site.update_norm + i] * factor; }
  return x[i];
}

fn normed(i: u32, x: vec4f) -> vec4f {
  if NORM { return x * vectors[site.norm + i]; }
  return x;
}

fn total(x: vec4f) -> f32 { return dot(x, vec4f(1.0)); }

fn write_row(row: u32, value: f32) {
  let at = place(row);
  let index = site.outputs[at.x] + at.y;
  if MODE == 1u {
    out[index] += value + bias(at);
  } else {
    out[index] = activate(value + bias(at));
  }
}

fn bias(at: vec2u) -> f32 {
  let start = site.biases[at.x];
  if start == NONE { return 0.0; }
  return vectors[(start + at.y) / 4u][(start + at.y) % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % LANES;
  let slot = thread / LANES;
  let number = group.x + group.y * groups.x;
  var factor = 1.0;
  if UPDATE {
    var squares = 0.0;
    for (var i = lane; i < WIDTH; i += LANES) { squares += dot(update[i], update[i]); }
    shared_squares[thread] = squares;
    workgroupBarrier();
    squares = 0.0;
    for (var i = 0u; i < LANES; i++) { squares += shared_squares[slot * LANES + i]; }
    factor = inverseSqrt(squares / f32(COLUMNS) + site.update_epsilon);
  }
  // A gate's two rows are the same row of two matrices, others two rows of one or of two.
  let first = select(number * 16u + slot * 2u, number * 8u + slot, MODE == 2u);
  var a = place(first);
  var b = place(first + 1u);
  if MODE == 2u {
    a = vec2u(0u, min(first, site.rows.x - 1u));
    b = vec2u(1u, a.y);
  }
  var sums = vec2f(0.0);
  var squares = 0.0;
  for (var block = lane; block < BLOCKS; block += LANES) {
    let i = block * 8u;
    var v = Block(input(i, factor), input(i + 1u, factor), input(i + 2u, factor), input(i + 3u, factor),
      input(i + 4u, factor), input(i + 5u, factor), input(i + 6u, factor), input(i + 7u, factor));
    if UPDATE && number == 0u && slot == 0u {
      sum[i] = v.a; sum[i + 1u] = v.b; sum[i + 2u] = v.c; sum[i + 3u] = v.d;
      sum[i + 4u] = v.e; sum[i + 5u] = v.f; sum[i + 6u] = v.g; sum[i + 7u] = v.h;
    }
    if NORM {
      squares += dot(v.a, v.a) + dot(v.b, v.b) + dot(v.c, v.c) + dot(v.d, v.d)
        + dot(v.e, v.e) + dot(v.f, v.f) + dot(v.g, v.g) + dot(v.h, v.h);
      v = Block(normed(i, v.a), normed(i + 1u, v.b), normed(i + 2u, v.c), normed(i + 3u, v.d),
        normed(i + 4u, v.e), normed(i + 5u, v.f), normed(i + 6u, v.g), normed(i + 7u, v.h));
    }
    let halves = vec2f(total(v.a + v.b + v.c + v.d), total(v.e + v.f + v.g + v.h));
    sums.x += row_product(a.x, a.y, block, v, halves);
    sums.y += row_product(b.x, b.y, block, v, halves);
  }
  shared_sums[thread] = vec4f(sums, squares, 0.0);
  workgroupBarrier();
  if lane != 0u { return; }
  var result = vec4f(0.0);
  for (var i = 0u; i < LANES; i++) { result += shared_sums[thread + i]; }
  if NORM { result *= inverseSqrt(result.z / f32(COLUMNS) + site.epsilon); }
  let rows = site.rows.x + site.rows.y + site.rows.z;
  if MODE == 2u {
    if first < site.rows.x { out[site.outputs.x + first] = activate(result.x) * (result.y + bias(vec2u(1u, first))); }
    return;
  }
  if first < rows { write_row(first, result.x); }
  if first + 1u < rows { write_row(first + 1u, result.y); }
}
