// onnxruntime-web in a page: the graph of ../peers/build_onnx.py on its WebAssembly backend.
/* global performance */
import { tokenIds } from './texts.mjs';

const FILES = '/node_modules/onnxruntime-web/dist/';
const SHORT_PROMPT_TOKENS = 32;

let ort;
let session;

export async function load({ onnx, threads }) {
  const started = performance.now();
  ort = await import(`${FILES}ort.wasm.bundle.min.mjs`);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = FILES;
  session = await ort.InferenceSession.create(onnx.url, { executionProviders: ['wasm'] });
  return { loadMs: performance.now() - started, threads: ort.env.wasm.numThreads };
}

export async function prefill(options) {
  const ids = tokenIds(options);
  const started = performance.now();
  await step({ ids, position: 0, cache: emptyCache() });
  return { tokens: ids.length, ms: performance.now() - started };
}

export async function decode({ round, tokens }) {
  const ids = tokenIds({ round, tokens: SHORT_PROMPT_TOKENS });
  let { token, cache } = await step({ ids, position: 0, cache: emptyCache() });
  const started = performance.now();
  for (let done = 0; done < tokens - 1; done += 1) {
    ({ token, cache } = await step({ ids: [token], position: ids.length + done, cache }));
  }
  return { tokens: tokens - 1, ms: performance.now() - started };
}

/** The likeliest next token after `ids` at `position`, and the grown cache. */
async function step({ ids, position, cache }) {
  const total = position + ids.length;
  const { logits, ...present } = await session.run({
    input_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
    seqlens_k: new ort.Tensor('int32', Int32Array.of(total - 1), [1]),
    total_sequence_length: new ort.Tensor('int32', Int32Array.of(total), []),
    ...cache,
  });
  const grown = Object.entries(present).map(([name, tensor]) => [name.replace('present', 'past'), tensor]);
  return { token: indexOfLargest(logits.data), cache: Object.fromEntries(grown) };
}

function emptyCache() {
  const pasts = session.inputMetadata.filter(({ name }) => name.startsWith('past.'));
  return Object.fromEntries(
    pasts.map(({ name, shape }) => {
      const dimensions = shape.map((size) => (typeof size === 'number' ? size : 0));
      return [name, new ort.Tensor('float32', new Float32Array(0), dimensions)];
    }),
  );
}

function indexOfLargest(values) {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) if (values[index] > values[best]) best = index;
  return best;
}
