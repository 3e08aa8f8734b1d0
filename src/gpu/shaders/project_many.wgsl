// Several tokens: out = x * matrix^T + bias, or what is added to `out`; a tile of 64 tokens by 64 rows.
// 32 columns at a time are decoded into workgroup memory; a thread sums 8 tokens by 8 rows.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS / 4]
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;      // norms and biases of the model
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [tokens, stride]
@group(0) @binding(4) var<uniform> site: Site;

struct Site {
  tokens: u32,
  rows: u32,
  numbers: u32,    // the vector where the numbers begin
  output: u32,     // the number in `out` of row 0 of token 0
  stride: u32,     // from token to token in `out`
  bias: u32,       // the number in `vectors` of the bias, NONE for none
}

const NONE = 0xffffffffu;
const WIDTH = COLUMNS / 4u;

var<workgroup> weights: array<vec4f, 512>;   // [32 columns, 16], four rows a vector
var<workgroup> inputs: array<vec4f, 512>;    // [32 columns, 16], four tokens a vector

fn load(token: u32, i: u32) -> vec4f {
  return x[min(token, site.tokens - 1u) * WIDTH + i];
}

fn bias(row: u32) -> vec4f {
  if site.bias == NONE { return vec4f(0.0); }
  let at = site.bias + row;
  // Rows come in fours, biases begin at a vector.
  return vectors[at / 4u];
}

fn write_rows(token: u32, row: u32, value: vec4f) {
  if token >= site.tokens { return; }
  let index = site.output + token * site.stride + row;
  let v = value + bias(min(row, (site.rows - 1u) / 4u * 4u));
  for (var i = 0u; i < 4u; i++) {
    if row + i < site.rows {
      if MODE == 1u { out[index + i] += v[i]; } else { out[index + i] = activate(v[i]); }
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let four = thread % 16u;
  let part = thread / 16u;
  let row = min(group.x * 64u + four * 4u, site.rows - 1u);
  let last = site.rows - 1u;
  let token = group.y * 64u + four * 4u;
  let tx = thread % 8u;
  let ty = thread / 8u;
  var a0 = vec4f(0.0); var a1 = vec4f(0.0); var a2 = vec4f(0.0); var a3 = vec4f(0.0);
  var a4 = vec4f(0.0); var a5 = vec4f(0.0); var a6 = vec4f(0.0); var a7 = vec4f(0.0);
  var b0 = vec4f(0.0); var b1 = vec4f(0.0); var b2 = vec4f(0.0); var b3 = vec4f(0.0);
  var b4 = vec4f(0.0); var b5 = vec4f(0.0); var b6 = vec4f(0.0); var b7 = vec4f(0.0);
  for (var block = 0u; block < BLOCKS; block++) {
    let eighth = block * 4u + part;
    let p = weights0(row, eighth, site.numbers);
    let q = weights0(min(row + 1u, last), eighth, site.numbers);
    let r = weights0(min(row + 2u, last), eighth, site.numbers);
    let s = weights0(min(row + 3u, last), eighth, site.numbers);
    let to = part * 128u + four;
    weights[to] = vec4f(p.a.x, q.a.x, r.a.x, s.a.x);
    weights[to + 16u] = vec4f(p.a.y, q.a.y, r.a.y, s.a.y);
    weights[to + 32u] = vec4f(p.a.z, q.a.z, r.a.z, s.a.z);
    weights[to + 48u] = vec4f(p.a.w, q.a.w, r.a.w, s.a.w);
    weights[to + 64u] = vec4f(p.b.x, q.b.x, r.b.x, s.b.x);
    weights[to + 80u] = vec4f(p.b.y, q.b.y, r.b.y, s.b.y);
    weights[to + 96u] = vec4f(p.b.z, q.b.z, r.b.z, s.b.z);
    weights[to + 112u] = vec4f(p.b.w, q.b.w, r.b.w, s.b.w);
    let i = eighth * 2u;
    let c = mat4x4f(load(token, i), load(token + 1u, i), load(token + 2u, i), load(token + 3u, i));
    let d = mat4x4f(load(token, i + 1u), load(token + 1u, i + 1u), load(token + 2u, i + 1u), load(token + 3u, i + 1u));
    let e = transpose(c);
    let f = transpose(d);
    inputs[to] = e[0];
    inputs[to + 16u] = e[1];
    inputs[to + 32u] = e[2];
    inputs[to + 48u] = e[3];
    inputs[to + 64u] = f[0];
    inputs[to + 80u] = f[1];
    inputs[to + 96u] = f[2];
    inputs[to + 112u] = f[3];
    workgroupBarrier();
    for (var k = 0u; k < 512u; k += 16u) {
      let w = weights[k + 2u * tx];
      let v = weights[k + 2u * tx + 1u];
      let g = inputs[k + 2u * ty];
      let h = inputs[k + 2u * ty + 1u];
      a0 += w * g.x; b0 += v * g.x;
      a1 += w * g.y; b1 += v * g.y;
      a2 += w * g.z; b2 += v * g.z;
      a3 += w * g.w; b3 += v * g.w;
      a4 += w * h.x; b4 += v * h.x;
      a5 += w * h.y; b5 += v * h.y;
      a6 += w * h.z; b6 += v * h.z;
      a7 += w * h.w; b7 += v * h.w;
    }
    workgroupBarrier();
  }
  let t = group.y * 64u + ty * 8u;
  let o = group.x * 64u + tx * 8u;
  write_rows(t, o, a0); write_rows(t, o + 4u, b0);
  write_rows(t + 1u, o, a1); write_rows(t + 1u, o + 4u, b1);
  write_rows(t + 2u, o, a2); write_rows(t + 2u, o + 4u, b2);
  write_rows(t + 3u, o, a3); write_rows(t + 3u, o + 4u, b3);
  write_rows(t + 4u, o, a4); write_rows(t + 4u, o + 4u, b4);
  write_rows(t + 5u, o, a5); write_rows(t + 5u, o + 4u, b5);
  write_rows(t + 6u, o, a6); write_rows(t + 6u, o + 4u, b6);
  write_rows(t + 7u, o, a7); write_rows(t + 7u, o + 4u, b7);
}
