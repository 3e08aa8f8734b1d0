// onnxruntime-web in a page: the graph of ../peers/build_onnx.py on its WebAssembly or its WebGPU backend.
/* global performance */
import { tokenIds } from './texts.mjs';

const FILES = '/node_modules/onnxruntime-web/dist/';
const SHORT_PROMPT_TOKENS = 32;

let ort;
let session;

export async function load({ onnx, threads, backend = 'wasm' }) {
  const started = performance.now();
  ort = await import(`${FILES}ort.${backend}.bundle.min.mjs`);
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = FILES;
  session = await ort.InferenceSession.create(onnx.url, {
    executionProviders: [backend],
    // Keys and values stay there from step to step; logits are read.
    ...(backend === 'webgpu' && { preferredOutputLocation: 'gpu-buffer' }),
  });
  return { loadMs: performance.now() - started, threads: ort.env.wasm.numThreads };
}

export async function prefill(options) {
  const ids = tokenIds(options);
  const started = performance.now();
  const { cache } = await step({ ids, position: 0, cache: emptyCache() });
  const ms = performance.now() - started;
  dispose(cache);
  return { tokens: ids.length, ms };
}

export async function decode({ round, tokens }) {
  const ids = tokenIds({ round, tokens: SHORT_PROMPT_TOKENS });
  let { token, cache } = await step({ ids, position: 0, cache: emptyCache() });
  const said = [token];
  const started = performance.now();
  for (let done = 0; done < tokens - 1; done += 1) {
    ({ token, cache } = await step({ ids: [token], position: ids.length + done, cache }));
    said.push(token);
  }
  const ms = performance.now() - started;
  dispose(cache);
  return { tokens: tokens - 1, ms, said: said.join(' ') };
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
  const token = indexOfLargest(await logits.getData());
  logits.dispose();
  dispose(cache);
  const grown = Object.entries(present).map(([name, tensor]) => [name.replace('present', 'past'), tensor]);
  return { token, cache: Object.fromEntries(grown) };
}

/** What lies on the GPU is not collected with its tensor. */
function dispose(cache) {
  for (const tensor of Object.values(cache)) tensor.dispose();
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
