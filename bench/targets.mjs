// What Frontdesk is meant to reach; each `of` reads one figure of the results.
import { ENGINES } from './plan.mjs';

const SMOLLM2 = 'SmolLM2-135M-Instruct Q4_1';
const GEMMA = 'Gemma 3 270M Q4_K_M';

/** `least` or `most` is the bound; figures that were not measured are neither met nor missed. */
export const TARGETS = [
  { name: 'prefill, 2 threads, times wllama', least: 25, of: ({ ratios }) => ratios.prefill_vs_wllama },
  { name: 'prefill, 2 threads, times onnxruntime-web', least: 6, of: ({ ratios }) => ratios.prefill_vs_ort_web },
  { name: 'prefill, 2 threads, times native llama.cpp', least: 2, of: ({ ratios }) => ratios.prefill_vs_llamacpp_native },
  { name: 'decode, 2 threads, times wllama', least: 8, of: ({ ratios }) => ratios.decode_vs_wllama },
  { name: 'decode, 2 threads, times native llama.cpp', least: 1.5, of: ({ ratios }) => ratios.decode_vs_llamacpp_native },
  { name: 'prefill, 1 thread, times wllama', least: 30, of: times('prefill_tps', { threads: 1 }) },
  { name: 'decode, 1 thread, times wllama', least: 8, of: times('decode_tps', { threads: 1 }) },
  {
    name: 'prefill without relaxed SIMD, 2 threads, times wllama',
    least: 10,
    of: times('prefill_tps', { threads: 2, variant: 'simd-threads' }),
  },
  { name: 'prefill of Gemma 3 270M, 2 threads, times wllama', least: 15, of: times('prefill_tps', { threads: 2, model: GEMMA }) },
  { name: 'decode of Gemma 3 270M, 2 threads, times wllama', least: 5, of: times('decode_tps', { threads: 2, model: GEMMA }) },
  { name: 'prefill of 1,024 tokens, share of the rate of 256', least: 0.7, of: longShare },
  {
    name: 'page opened to first token, model in the local cache, ms',
    most: 1000,
    of: ({ first_token_ms: visits }) => visits[ENGINES.frontdesk.name]?.median,
  },
  { name: 'classification of a ticket, p50, ms', most: 100, of: ({ classify }) => classify?.p50_ms },
  { name: 'embedding of a ticket, p50, ms', most: 12, of: ({ embed }) => embed?.p50_ms },
  { name: 'WebAssembly memory less the KV cache, times the model file', most: 1.35, of: memoryShare },
  {
    name: 'code that a page loads, MB gzipped',
    most: 1.2,
    of: ({ sizes }) => largest(sizes.map(({ gzip_bytes }) => gzip_bytes / 1e6)),
  },
];

function runOf({ runs }, { engine, threads, variant, model = SMOLLM2 }) {
  return runs.find(
    (run) =>
      run.engine === ENGINES[engine].name &&
      run.model === model &&
      run.threads === threads &&
      (variant === undefined || run.variant === variant),
  );
}

/** A figure of Frontdesk over wllama's, both with so many threads. */
function times(figure, { threads, variant, model }) {
  return (results) => {
    const ours = runOf(results, { engine: 'frontdesk', threads, variant, model })?.[figure];
    return ours / runOf(results, { engine: 'wllama', threads, model })?.[figure];
  };
}

function longShare(results) {
  const run = runOf(results, { engine: 'frontdesk', threads: 2 });
  return run?.prefill_1024_tps / run?.prefill_tps;
}

function memoryShare(results) {
  const memory = runOf(results, { engine: 'frontdesk', threads: 2 })?.memory;
  return memory && (memory.wasm_bytes - memory.cache_bytes) / memory.model_bytes;
}

function largest(values) {
  return values.length > 0 ? Math.max(...values) : undefined;
}
