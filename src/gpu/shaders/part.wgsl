// Preamble: the accessors of part `#` of a matrix; FORM_# is how its weights are stored.

@group(0) @binding(#) var<storage, read> matrix#: array<vec4u>;

// 32 codes of a row, from column 32 * block on.
fn codes#(row: u32, block: u32) -> Block {
  let at = row * BLOCKS + block;
  if FORM_# == NIBBLES {
    let v = matrix#[at];
    return Block(low(v.x), high(v.x), low(v.y), high(v.y), low(v.z), high(v.z), low(v.w), high(v.w));
  } else if FORM_# == BYTES || FORM_# == BYTES_16 {
    let v = matrix#[2u * at];
    let w = matrix#[2u * at + 1u];
    return Block(bytes(v.x), bytes(v.y), bytes(v.z), bytes(v.w), bytes(w.x), bytes(w.y), bytes(w.z), bytes(w.w));
  } else if FORM_# == SINGLES {
    let i = 8u * at;
    return Block(
      bitcast<vec4f>(matrix#[i]), bitcast<vec4f>(matrix#[i + 1u]), bitcast<vec4f>(matrix#[i + 2u]), bitcast<vec4f>(matrix#[i + 3u]),
      bitcast<vec4f>(matrix#[i + 4u]), bitcast<vec4f>(matrix#[i + 5u]), bitcast<vec4f>(matrix#[i + 6u]), bitcast<vec4f>(matrix#[i + 7u]));
  }
  let p = matrix#[4u * at];
  let q = matrix#[4u * at + 1u];
  let r = matrix#[4u * at + 2u];
  let s = matrix#[4u * at + 3u];
  if FORM_# == HALVES {
    return Block(halves(p.x, p.y), halves(p.z, p.w), halves(q.x, q.y), halves(q.z, q.w), halves(r.x, r.y), halves(r.z, r.w), halves(s.x, s.y), halves(s.z, s.w));
  }
  return Block(bfloats(p.x, p.y), bfloats(p.z, p.w), bfloats(q.x, q.y), bfloats(q.z, q.w), bfloats(r.x, r.y), bfloats(r.z, r.w), bfloats(s.x, s.y), bfloats(s.z, s.w));
}

// Scale and minimum of the two halves of such a block; numbers begin at vector `start`.
fn numbers#(row: u32, block: u32, start: u32) -> vec4f {
  let at = row * BLOCKS + block;
  if FORM_# == NIBBLES || FORM_# == BYTES {
    return unpack2x16float(matrix#[start + at / 4u][at % 4u]).xyxy;
  } else if FORM_# == BYTES_16 {
    let v = matrix#[start + at / 2u];
    return vec4f(unpack2x16float(select(v.x, v.z, at % 2u == 1u)), unpack2x16float(select(v.y, v.w, at % 2u == 1u)));
  }
  return vec4f(1.0, 0.0, 1.0, 0.0);
}

// 8 weights of a row, from column 8 * eighth on.
fn weights#(row: u32, eighth: u32, start: u32) -> Eight {
  let at = row * BLOCKS * 4u + eighth;
  if FORM_# == NIBBLES {
    let word = matrix#[at / 4u][at % 4u];
    let n = unpack2x16float(matrix#[start + at / 16u][at / 4u % 4u]);
    return Eight(low(word) * n.x + n.y, high(word) * n.x + n.y);
  } else if FORM_# == BYTES || FORM_# == BYTES_16 {
    let v = matrix#[at / 2u];
    let words = select(v.xy, v.zw, at % 2u == 1u);
    let group = select(at / 4u, at / 2u, FORM_# == BYTES_16);
    let n = unpack2x16float(matrix#[start + group / 4u][group % 4u]);
    return Eight(bytes(words.x) * n.x + n.y, bytes(words.y) * n.x + n.y);
  } else if FORM_# == SINGLES {
    return Eight(bitcast<vec4f>(matrix#[2u * at]), bitcast<vec4f>(matrix#[2u * at + 1u]));
  }
  let v = matrix#[at];
  if FORM_# == HALVES {
    return Eight(halves(v.x, v.y), halves(v.z, v.w));
  }
  return Eight(bfloats(v.x, v.y), bfloats(v.z, v.w));
}
