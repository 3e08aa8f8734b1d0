// The few statistics of the report.

/** The value below which the share `p` (0 to 1) lies, interpolated between neighbours; undefined of nothing. */
export function quantile(values, p) {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * p;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

export function median(values) {
  return quantile(values, 0.5);
}

/** Rounded for people and files: three digits behind the point below 10, else one. */
export function round(value) {
  if (!Number.isFinite(value)) return null;
  return Number(value.toFixed(Math.abs(value) < 10 ? 3 : 1));
}
