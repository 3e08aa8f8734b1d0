// Preamble: 32 or 8 weights of a row. `#` is the part's number; a matrix has one to three parts, runs of its rows.
// A part is the codes of all rows, then their numbers: for each group of 16 or 32 columns a scale and a
// minimum in half precision. Weight = scale * code + minimum; floats have no numbers.

struct Block { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f }
struct Eight { a: vec4f, b: vec4f }

const NIBBLES = 0u;    // 32 codes in a vector: byte b of word w has columns 8 w + b (low) and 8 w + 4 + b
const BYTES = 1u;      // 16 codes in a vector, a scale for 32
const BYTES_16 = 2u;   // the same, a scale for 16
const HALVES = 3u;     // 8 weights in a vector
const BFLOATS = 4u;    // the same, bfloat16
const SINGLES = 5u;    // 4 weights in a vector

// Codes are masked where they are and scaled by powers of two, which is exact; a software adapter takes a shift by a
// vector, and a conversion from unsigned numbers, apart.
const PLACES = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);

fn low(word: u32) -> vec4f {
  return vec4f(vec4i(vec4u(word) & vec4u(0xfu, 0xf00u, 0xf0000u, 0xf000000u))) * PLACES;
}
fn high(word: u32) -> vec4f { return low(word >> 4u); }
fn bytes(word: u32) -> vec4f {
  return vec4f(vec3f(vec3i(vec3u(word) & vec3u(0xffu, 0xff00u, 0xff0000u))) * PLACES.xyz, f32(i32(word >> 24u)));
}
fn halves(a: u32, b: u32) -> vec4f { return vec4f(unpack2x16float(a), unpack2x16float(b)); }
fn bfloats(a: u32, b: u32) -> vec4f {
  return bitcast<vec4f>(vec4u(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}

// `sums`: of the first and the last 16 numbers of `x`; `n`: scale and minimum of each of these halves.
fn product(w: Block, n: vec4f, x: Block, sums: vec2f) -> f32 {
  let first = dot(w.a, x.a) + dot(w.b, x.b) + dot(w.c, x.c) + dot(w.d, x.d);
  let second = dot(w.e, x.e) + dot(w.f, x.f) + dot(w.g, x.g) + dot(w.h, x.h);
  return n.x * first + n.z * second + dot(n.yw, sums);
}
