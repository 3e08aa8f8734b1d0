// Preamble: where candidates end. Distances from the largest logit are not negative, so their bits are in their order.

struct Cutoff {
  largest: f32,   // logit
  edge: u32,      // bits of the last candidates' distance
  last: u32,      // of those at the edge, the last token that may be drawn
}

fn is_inside(cutoff: Cutoff, distance: u32, token: u32) -> bool {
  return distance < cutoff.edge || (distance == cutoff.edge && token <= cutoff.last);
}
