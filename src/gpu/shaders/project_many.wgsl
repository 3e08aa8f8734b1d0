// Several tokens: out = x * matrix^T + bias, or what is added to `out`; a tile of TILE tokens, 64 or 16, by 64 rows.
// 32 columns at a time are decoded into workgroup memory; a thread sums TILE / 8 tokens by 8 rows.
// Weights lie there in half precision where HALVES_KEPT; inputs and sums may be too large for it.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS / 4]

const WIDTH = COLUMNS / 4u;
const BLOCKS = COLUMNS / 32u;

alias Kept = {{ "f16" if HALVES_KEPT else "f32" }};

// Threads that run together read one input, or weights that lie together.
var<workgroup> weights: array<Kept, 2048>;  // [32 columns, 64 rows]
var<workgroup> inputs: array<f32, 2048>;    // [32 columns, 64 tokens]

fn keep_weights(at: u32, w: vec4f) {
  weights[at] = Kept(w.x);
  weights[at + 64u] = Kept(w.y);
  weights[at + 128u] = Kept(w.z);
  weights[at + 192u] = Kept(w.w);
}

fn keep_inputs(at: u32, i: u32) {
  let v = x[i];
  inputs[at] = v.x;
  inputs[at + 64u] = v.y;
  inputs[at + 128u] = v.z;
  inputs[at + 192u] = v.w;
}

// Rows `row`, `row + 8`, `row + 16` and `row + 24`.
fn write_rows(token: u32, row: u32, value: vec4f) {
  for (var i = 0u; i < 4u; i++) {
    let r = row + 8u * i;
    if token < site.tokens && r < site.rows { write(token, r, value[i] + bias(r)); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  // While loading, a thread has a row and a token.
  let row = min(group.x * 64u + thread, site.rows - 1u);
  let tile = site.first + group.y * TILE;
  let token = min(tile + thread % TILE, site.tokens - 1u);
  let tx = thread % 8u;
  let ty = thread / 8u;
  var a0 = vec4f(0.0); var b0 = vec4f(0.0);
  var a1 = vec4f(0.0); var b1 = vec4f(0.0);
  var a2 = vec4f(0.0); var b2 = vec4f(0.0);
  var a3 = vec4f(0.0); var b3 = vec4f(0.0);
  var a4 = vec4f(0.0); var b4 = vec4f(0.0);
  var a5 = vec4f(0.0); var b5 = vec4f(0.0);
  var a6 = vec4f(0.0); var b6 = vec4f(0.0);
  var a7 = vec4f(0.0); var b7 = vec4f(0.0);
  for (var block = 0u; block < BLOCKS; block++) {
    let w = codes0(row * BLOCKS + block);
    let n = numbers0(row * BLOCKS + block, site.numbers);
    keep_weights(thread, w.a * n.x + n.y);
    keep_weights(thread + 256u, w.b * n.x + n.y);
    keep_weights(thread + 512u, w.c * n.x + n.y);
    keep_weights(thread + 768u, w.d * n.x + n.y);
    keep_weights(thread + 1024u, w.e * n.z + n.w);
    keep_weights(thread + 1280u, w.f * n.z + n.w);
    keep_weights(thread + 1536u, w.g * n.z + n.w);
    keep_weights(thread + 1792u, w.h * n.z + n.w);
    // With few tokens the threads share out their columns.
    for (var i = thread / TILE; i < 8u; i += 64u / TILE) { keep_inputs(thread % TILE + 256u * i, token * WIDTH + block * 8u + i); }
    workgroupBarrier();
    for (var at = 0u; at < 2048u; at += 64u) {
      let w = vec4f(vec4(weights[at + tx], weights[at + tx + 8u], weights[at + tx + 16u], weights[at + tx + 24u]));
      let v = vec4f(vec4(weights[at + tx + 32u], weights[at + tx + 40u], weights[at + tx + 48u], weights[at + tx + 56u]));
      let g0 = inputs[at + TILE / 8u * ty + 0u]; a0 += w * g0; b0 += v * g0;
      let g1 = inputs[at + TILE / 8u * ty + 1u]; a1 += w * g1; b1 += v * g1;
      if TILE == 16u { continue; }
      let g2 = inputs[at + TILE / 8u * ty + 2u]; a2 += w * g2; b2 += v * g2;
      let g3 = inputs[at + TILE / 8u * ty + 3u]; a3 += w * g3; b3 += v * g3;
      let g4 = inputs[at + TILE / 8u * ty + 4u]; a4 += w * g4; b4 += v * g4;
      let g5 = inputs[at + TILE / 8u * ty + 5u]; a5 += w * g5; b5 += v * g5;
      let g6 = inputs[at + TILE / 8u * ty + 6u]; a6 += w * g6; b6 += v * g6;
      let g7 = inputs[at + TILE / 8u * ty + 7u]; a7 += w * g7; b7 += v * g7;
    }
    workgroupBarrier();
  }
  let t = tile + ty * (TILE / 8u);
  let o = group.x * 64u + tx;
  write_rows(t + 0u, o, a0); write_rows(t + 0u, o + 32u, b0);
  write_rows(t + 1u, o, a1); write_rows(t + 1u, o + 32u, b1);
  if TILE == 16u { return; }
  write_rows(t + 2u, o, a2); write_rows(t + 2u, o + 32u, b2);
  write_rows(t + 3u, o, a3); write_rows(t + 3u, o + 32u, b3);
  write_rows(t + 4u, o, a4); write_rows(t + 4u, o + 32u, b4);
  write_rows(t + 5u, o, a5); write_rows(t + 5u, o + 32u, b5);
  write_rows(t + 6u, o, a6); write_rows(t + 6u, o + 32u, b6);
  write_rows(t + 7u, o, a7); write_rows(t + 7u, o + 32u, b7);
}
