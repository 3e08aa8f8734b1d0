// Preamble: the accessors of a matrix's parts; FORM_0 is how the weights of part 0 are stored.
{% for p in range(parts) %}
@group(0) @binding({{ p }}) var<storage, read> matrix{{ p }}: array<vec4u>;

// The 32 codes of a block; a matrix's blocks are numbered row by row.
fn codes{{ p }}(at: u32) -> Block {
  if FORM_{{ p }} == NIBBLES {
    let v = matrix{{ p }}[at];
    return Block(low(v.x), high(v.x), low(v.y), high(v.y), low(v.z), high(v.z), low(v.w), high(v.w));
  } else if FORM_{{ p }} == BYTES || FORM_{{ p }} == BYTES_16 {
    let v = matrix{{ p }}[2u * at];
    let w = matrix{{ p }}[2u * at + 1u];
    return Block(bytes(v.x), bytes(v.y), bytes(v.z), bytes(v.w), bytes(w.x), bytes(w.y), bytes(w.z), bytes(w.w));
  } else if FORM_{{ p }} == SINGLES {
    let i = 8u * at;
    return Block(
      bitcast<vec4f>(matrix{{ p }}[i]), bitcast<vec4f>(matrix{{ p }}[i + 1u]), bitcast<vec4f>(matrix{{ p }}[i + 2u]), bitcast<vec4f>(matrix{{ p }}[i + 3u]),
      bitcast<vec4f>(matrix{{ p }}[i + 4u]), bitcast<vec4f>(matrix{{ p }}[i + 5u]), bitcast<vec4f>(matrix{{ p }}[i + 6u]), bitcast<vec4f>(matrix{{ p }}[i + 7u]));
  }
  let p = matrix{{ p }}[4u * at];
  let q = matrix{{ p }}[4u * at + 1u];
  let r = matrix{{ p }}[4u * at + 2u];
  let s = matrix{{ p }}[4u * at + 3u];
  if FORM_{{ p }} == HALVES {
    return Block(halves(p.x, p.y), halves(p.z, p.w), halves(q.x, q.y), halves(q.z, q.w), halves(r.x, r.y), halves(r.z, r.w), halves(s.x, s.y), halves(s.z, s.w));
  }
  return Block(bfloats(p.x, p.y), bfloats(p.z, p.w), bfloats(q.x, q.y), bfloats(q.z, q.w), bfloats(r.x, r.y), bfloats(r.z, r.w), bfloats(s.x, s.y), bfloats(s.z, s.w));
}

// Scale and minimum of the two halves of such a block; numbers begin at vector `start`.
fn numbers{{ p }}(at: u32, start: u32) -> vec4f {
  if FORM_{{ p }} == NIBBLES || FORM_{{ p }} == BYTES {
    return unpack2x16float(matrix{{ p }}[start + (at >> 2u)][at & 3u]).xyxy;
  } else if FORM_{{ p }} == BYTES_16 {
    let i = start + (at >> 1u);
    let half = (at & 1u) * 2u;
    return vec4f(unpack2x16float(matrix{{ p }}[i][half]), unpack2x16float(matrix{{ p }}[i][half + 1u]));
  }
  return vec4f(1.0, 0.0, 1.0, 0.0);
}

// The 8 codes of a quarter of such a block.
fn eight{{ p }}(at: u32, quarter: u32) -> Eight {
  if FORM_{{ p }} == NIBBLES {
    let word = matrix{{ p }}[at][quarter];
    return Eight(low(word), high(word));
  } else if FORM_{{ p }} == BYTES || FORM_{{ p }} == BYTES_16 {
    let i = 2u * at + (quarter >> 1u);
    let half = (quarter & 1u) * 2u;
    return Eight(bytes(matrix{{ p }}[i][half]), bytes(matrix{{ p }}[i][half + 1u]));
  } else if FORM_{{ p }} == SINGLES {
    let i = 8u * at + 2u * quarter;
    return Eight(bitcast<vec4f>(matrix{{ p }}[i]), bitcast<vec4f>(matrix{{ p }}[i + 1u]));
  }
  let v = matrix{{ p }}[4u * at + quarter];
  if FORM_{{ p }} == HALVES {
    return Eight(halves(v.x, v.y), halves(v.z, v.w));
  }
  return Eight(bfloats(v.x, v.y), bfloats(v.z, v.w));
}

// The weights of such codes.
fn weights{{ p }}(at: u32, quarter: u32, start: u32) -> Eight {
  let n = numbers{{ p }}(at, start);
  let half = select(n.xy, n.zw, quarter >= 2u);
  let codes = eight{{ p }}(at, quarter);
  return Eight(codes.a * half.x + half.y, codes.b * half.x + half.y);
}
{% endfor %}
