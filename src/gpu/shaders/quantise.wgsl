// x in 8 bits for `project_pairs`: a thread has a block of 32 columns of two tokens.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;                 // [tokens, BLOCKS * 8]
@group(0) @binding(1) var<storage, read_write> pairs: array<vec4u>;       // [tokens / 2, blocks, 5]
@group(0) @binding(2) var<uniform> site: Site;

struct Site { tokens: u32 }

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let block = thread.x;
  if block >= BLOCKS { return; }
  // Where the number of tokens is odd, the last pair has the last token twice.
  let first = (thread.y * 2u * BLOCKS + block) * 8u;
  let second = (min(thread.y * 2u + 1u, site.tokens - 1u) * BLOCKS + block) * 8u;
  let to = (thread.y * BLOCKS + block) * 5u;
  var most = vec2f(0.0);
  for (var i = 0u; i < 8u; i++) {
    let a = abs(x[first + i]);
    let b = abs(x[second + i]);
    most = max(most, vec2f(max(max(a.x, a.y), max(a.z, a.w)), max(max(b.x, b.y), max(b.z, b.w))));
  }
  let scale = most / 127.0;
  let inverse = select(vec2f(0.0), 127.0 / most, most > vec2f(1e-30));
  var sums = vec2f(0.0);
  for (var i = 0u; i < 4u; i++) {
    let a = round(x[first + 2u * i] * inverse.x);
    let b = round(x[first + 2u * i + 1u] * inverse.x);
    let c = round(x[second + 2u * i] * inverse.y);
    let d = round(x[second + 2u * i + 1u] * inverse.y);
    sums += vec2f(dot(a, vec4f(1.0)) + dot(b, vec4f(1.0)), dot(c, vec4f(1.0)) + dot(d, vec4f(1.0)));
    pairs[to + i] = vec4u(word(a.xy, c.xy), word(a.zw, c.zw), word(b.xy, d.xy), word(b.zw, d.zw));
  }
  pairs[to + 4u] = bitcast<vec4u>(vec4f(scale, scale * sums));
}

// Bytes, biased by 128: the first token's two columns, then the second's.
fn word(a: vec2f, b: vec2f) -> u32 {
  let bytes = vec4u(vec4i(vec4f(a, b)) + 128);
  return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
