// Preamble: the norm and the rotation of a head; element i turns with element i + DIMENSIONS / 2.

const VECTORS = DIMENSIONS / 4u;

struct Pair { a: vec4f, b: vec4f }

// Four elements of the first half of the head at vector `head`, from 4 i on, and those they turn with.
fn rotated(head: u32, i: u32, factor: f32, position: u32) -> Pair {
  var a = projected[head + i];
  var b = projected[head + i + VECTORS / 2u];
  if NORM {
    a *= vectors[site.norm + i] * factor;
    b *= vectors[site.norm + i + VECTORS / 2u] * factor;
  }
  if !ROPE { return Pair(a, b); }
  let at = position * (DIMENSIONS / 2u) + 4u * i;
  let p = rope[at];
  let q = rope[at + 1u];
  let r = rope[at + 2u];
  let s = rope[at + 3u];
  let cosine = vec4f(p.x, q.x, r.x, s.x);
  let sine = vec4f(p.y, q.y, r.y, s.y);
  return Pair(a * cosine - b * sine, a * sine + b * cosine);
}
