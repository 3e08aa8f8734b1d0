// Keys, normalised and rotated, and values go to the tokens' slots; a workgroup a head of a token.

@group(0) @binding(0) var<storage, read> cursor: array<Token>;             // [tokens]
@group(0) @binding(1) var<storage, read> projected: array<vec4f>;          // keys and values, [tokens, HEADS, DIMENSIONS / 4] each
@group(0) @binding(2) var<storage, read> rope: array<vec2f>;               // [positions, DIMENSIONS / 2]: cosine, sine
@group(0) @binding(3) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(4) var<storage, read_write> keys: array<vec4f>;         // [slots, HEADS, DIMENSIONS / 4]
@group(0) @binding(5) var<storage, read_write> values: array<vec4f>;       // [slots, HEADS, DIMENSIONS / 4]
@group(0) @binding(6) var<uniform> site: Site;

struct Site {
  keys: u32,     // the vector in `projected` where keys begin
  values: u32,
  norm: u32,     // the vector of the norm's weight
  epsilon: f32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let head = group.x;
  let token = cursor[group.y];
  let source = (group.y * HEADS + head) * VECTORS;
  let to = (token.slot * HEADS + head) * VECTORS;
  var factor = 1.0;
  if NORM {
    // Heads are short: each thread sums the whole of it.
    var squares = 0.0;
    for (var i = 0u; i < VECTORS; i++) {
      let v = projected[site.keys + source + i];
      squares += dot(v, v);
    }
    factor = inverseSqrt(squares / f32(DIMENSIONS) + site.epsilon);
  }
  for (var i = thread; i < VECTORS / 2u; i += 64u) {
    let pair = rotated(source + site.keys, i, factor, token.position);
    keys[to + i] = pair.a;
    keys[to + i + VECTORS / 2u] = pair.b;
  }
  for (var i = thread; i < VECTORS; i += 64u) {
    values[to + i] = projected[site.values + source + i];
  }
}
