// Attention where each load is dear, as on a CPU that plays the GPU: a thread alone takes GROUP query heads of a token
// that share keys, and a SPLITS-th of what they see, a slot at a time (online softmax). No workgroup memory, no barrier.

{% set vectors = DIMENSIONS // 4 %}
{% set half = DIMENSIONS // 8 %}

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) thread: vec3u, @builtin(num_workgroups) groups: vec3u) {
  // Threads that run together have the same heads of tokens that follow each other.
  let index = thread.x + thread.y * groups.x * 4u;
  let number = index % site.tokens;
  let split = index / site.tokens % SPLITS;
  let heads = index / site.tokens / SPLITS;
  if heads >= HEADS / GROUP { return; }
  let token = cursor[number];
  let kv_head = heads / (HEADS / KV_HEADS / GROUP);
  let first_row = number * HEADS + heads * GROUP;
{% for g in range(GROUP) %}
  let source{{ g }} = site.queries + (first_row + {{ g }}u) * VECTORS;
  let factor{{ g }} = query_factor(source{{ g }});
  {% for i in range(half) %}
  let pair{{ g }}_{{ i }} = rotated(source{{ g }}, {{ i }}u, factor{{ g }}, token.position);
  let query{{ g }}_{{ i }} = pair{{ g }}_{{ i }}.a * site.scale;
  let query{{ g }}_{{ i + half }} = pair{{ g }}_{{ i }}.b * site.scale;
  {% endfor %}
  {% for i in range(vectors) %}
  var sum{{ g }}_{{ i }} = vec4f(0.0);
  {% endfor %}
  var largest{{ g }} = LOWEST;
  var total{{ g }} = 0.0;
{% endfor %}
  let seen = seen_by(token, split, 1u);
  for (var n = seen.begin; n < seen.end; n++) {
    let row = (slot_of(seen, n) * KV_HEADS + kv_head) * VECTORS;
{% for g in range(GROUP) %}
    var score{{ g }} = 0.0;
{% endfor %}
{% for i in range(vectors) %}
    let key{{ i }} = keys[row + {{ i }}u];
  {% for g in range(GROUP) %}
    score{{ g }} += dot(key{{ i }}, query{{ g }}_{{ i }});
  {% endfor %}
{% endfor %}
{% for g in range(GROUP) %}
    let top{{ g }} = max(largest{{ g }}, score{{ g }});
    let shrink{{ g }} = exp(largest{{ g }} - top{{ g }});
    let weight{{ g }} = exp(score{{ g }} - top{{ g }});
    largest{{ g }} = top{{ g }};
    total{{ g }} = total{{ g }} * shrink{{ g }} + weight{{ g }};
{% endfor %}
{% for i in range(vectors) %}
    let value{{ i }} = values[row + {{ i }}u];
  {% for g in range(GROUP) %}
    sum{{ g }}_{{ i }} = sum{{ g }}_{{ i }} * shrink{{ g }} + value{{ i }} * weight{{ g }};
  {% endfor %}
{% endfor %}
  }
{% for g in range(GROUP) %}
  {
  {% if SPLITS == 1 %}
    let to = (first_row + {{ g }}u) * DIMENSIONS;
    let over = 1.0 / total{{ g }};
  {% else %}
    let to = ((first_row + {{ g }}u) * SPLITS + split) * (DIMENSIONS + 2u);
    let over = 1.0;
    out[to + DIMENSIONS] = largest{{ g }};
    out[to + DIMENSIONS + 1u] = total{{ g }};
  {% endif %}
  {% for i in range(vectors) %}
    let v{{ i }} = sum{{ g }}_{{ i }} * over;
    out[to + {{ 4 * i }}u] = v{{ i }}.x;
    out[to + {{ 4 * i + 1 }}u] = v{{ i }}.y;
    out[to + {{ 4 * i + 2 }}u] = v{{ i }}.z;
    out[to + {{ 4 * i + 3 }}u] = v{{ i }}.w;
  {% endfor %}
  }
{% endfor %}
}
