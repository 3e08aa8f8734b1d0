// What Frontdesk is meant to reach; each `of` reads one figure of the results.

/** `least` or `most` is the bound; figures that were not measured are neither met nor missed. */
export const TARGETS = [
  { name: 'prefill, times wllama', least: 1, of: ({ ratios }) => ratios.prefill_vs_wllama },
  { name: 'decode, times wllama', least: 1, of: ({ ratios }) => ratios.decode_vs_wllama },
  { name: 'prefill, times onnxruntime-web', least: 1, of: ({ ratios }) => ratios.prefill_vs_ort_web },
  { name: 'decode, times onnxruntime-web', least: 1, of: ({ ratios }) => ratios.decode_vs_ort_web },
  { name: 'classification of a ticket, p50, ms', most: 150, of: ({ classify }) => classify?.p50_ms },
  {
    name: 'code that a page loads, MB gzipped',
    most: 2.3,
    of: ({ sizes }) => largest(sizes.map(({ gzip_bytes }) => gzip_bytes / 1e6)),
  },
];

function largest(values) {
  return values.length > 0 ? Math.max(...values) : undefined;
}
