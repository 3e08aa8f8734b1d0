// Preamble: what the products of several tokens read and write.

@group(0) @binding(1) var<storage, read> x: array<vec4f>;            // [tokens, COLUMNS / 4]
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;      // norms and biases of the model
@group(0) @binding(3) var<storage, read_write> out: array<f32>;      // [tokens, stride]
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
  mode: u32,
  activation: u32,
}

const NONE = 0xffffffffu;

fn bias(row: u32) -> f32 {
  if site.bias == NONE { return 0.0; }
  return vectors[(site.bias + row) / 4u][(site.bias + row) % 4u];
}
