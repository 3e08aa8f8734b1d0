// Preamble: what the products of several tokens read and write. MODE is 1 where they are added to what is there.
// Where FOURS, workgroups have no rows beyond the matrix's, `output` and `stride` are multiples of four, and four rows are
// written at a time.

@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;      // norms and biases of the model
@group(0) @binding(3) var<storage, read_write> out: array<{{ "vec4f" if FOURS else "f32" }}>;      // [tokens, stride]
@group(0) @binding(4) var<uniform> site: Site;

struct Site {
  first: u32,      // the first token of the first tile
  tokens: u32,     // to before this one
  rows: u32,
  numbers: u32,    // the vector where the numbers begin
  output: u32,     // the number in `out` of row 0 of token 0
  stride: u32,     // from token to token in `out`
  bias: u32,       // the number in `vectors` of the bias, NONE for none
  blocks: u32,     // of a row
}

const NONE = 0xffffffffu;

fn bias(row: u32) -> f32 {
  if site.bias == NONE { return 0.0; }
  return vectors[(site.bias + row) / 4u][(site.bias + row) % 4u];
}

// `value` has its bias; token and row are there.
{% if FOURS %}
fn write(token: u32, row: u32, value: vec4f) {
  let index = (site.output + token * site.stride + row) / 4u;
{% else %}
fn write(token: u32, row: u32, value: f32) {
  let index = site.output + token * site.stride + row;
{% endif %}
{% if MODE == 1 %}
  out[index] += value;
{% elif ACTIVATION and FOURS %}
  out[index] = vec4f({% for i in "xyzw" %}activate(value.{{ i }}, ACTIVATION), {% endfor %});
{% elif ACTIVATION %}
  out[index] = activate(value, ACTIVATION);
{% else %}
  out[index] = value;
{% endif %}
}
