// out[t] = rms_norm(x[pick(t)]) * weight, or that added to out[t]; a workgroup a token, or where ALONE a thread.

{% set STEP = 1 if ALONE else 64 %}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;                  // [tokens, WIDTH]
@group(0) @binding(1) var<storage, read> vectors: array<vec4f>;            // norms and biases of the model
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;          // [tokens, WIDTH]
@group(0) @binding(3) var<uniform> site: Site;

struct Site {
  picks: array<vec4u, 2>,   // rows of x, where PICK
  weight: u32,              // the vector of the norm's weight
  epsilon: f32,
  tokens: u32,              // where ALONE
}

{% if ALONE %}
@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) place: vec3u) {
  let token = place.x;
  if token >= site.tokens { return; }
  let thread = 0u;
{% else %}
var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let token = group.x;
{% endif %}
  var row = token;
  if PICK { row = site.picks[token / 4u][token % 4u]; }
  var square = 0.0;
  for (var i = thread; i < WIDTH; i += {{ STEP }}u) {
    let v = x[row * WIDTH + i];
    square += dot(v, v);
  }
{% if not ALONE %}
  squares[thread] = square;
  workgroupBarrier();
  square = 0.0;
  for (var i = 0u; i < 64u; i++) { square += squares[i]; }
{% endif %}
  let factor = inverseSqrt(square / f32(WIDTH * 4u) + site.epsilon);
  for (var i = thread; i < WIDTH; i += {{ STEP }}u) {
    let v = x[row * WIDTH + i] * vectors[site.weight + i] * factor;
    if ADD { out[token * WIDTH + i] += v; } else { out[token * WIDTH + i] = v; }
  }
}
