// Draws a token of each 1024 logits, the one whose logit and noise are the largest together; a workgroup each.

@group(0) @binding(0) var<storage, read> logits: array<f32>;               // [vocabulary]
@group(0) @binding(1) var<storage, read> choice: Choice;
@group(0) @binding(2) var<storage, read_write> drawn: array<vec2f>;        // [blocks]: logit and noise, token

var<workgroup> best: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let end = min(VOCABULARY, (group.x + 1u) * 1024u);
  var mine = vec2f(LOWEST, 3.4e38);
  for (var token = group.x * 1024u + thread; token < end; token += 64u) {
    mine = better(mine, vec2f(logits[token] + choice.temperature * noise(token), f32(token)));
  }
  best[thread] = mine;
  workgroupBarrier();
  if thread != 0u { return; }
  for (var i = 1u; i < 64u; i++) { mine = better(mine, best[i]); }
  drawn[group.x] = mine;
}
