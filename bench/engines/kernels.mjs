// In the page: times kernels and the operations of a model with the module of bench/kernels.
import init, { dotPeak, Product, Profile, Reading } from '/kernels/kernels.js';

const KERNELS = [
  { type: 'Q4_1', tokens: 64, rows: 1536, columns: 576, count: 10 },
  { type: 'Q4_1', tokens: 64, rows: 576, columns: 1536, count: 10 },
  { type: 'Q8_0', tokens: 64, rows: 1536, columns: 576, count: 10 },
  { type: 'Q5_0', tokens: 64, rows: 2048, columns: 640, count: 4 },
  { type: 'Q6_K', tokens: 64, rows: 640, columns: 2048, count: 4 },
  { type: 'Q4_1', tokens: 1, rows: 1536, columns: 576, count: 10 },
  { type: 'Q4_1', tokens: 1, rows: 1536, columns: 576, count: 160 },
  { type: 'Q8_0', tokens: 1, rows: 49152, columns: 576, count: 1 },
];
const READ_BYTES = 2 ** 27;
const DOT_TURNS = 1e6;
const REPEATS = 15;

/** Peaks of one thread, kernels beside them, and the operations of a prefill and of some tokens. */
export async function profile({ model, promptTokens, newTokens }) {
  await init({ module_or_path: '/kernels/kernels_bg.wasm' });
  const peak = {
    gmacs_per_thread: (16 * 12 * DOT_TURNS) / median(() => dotPeak(DOT_TURNS, 3, 5), { warm: 10 }) / 1e6,
    read_gbps: measureRead(),
  };
  const kernels = KERNELS.map((shape) => measureKernel(shape, peak));
  const file = new Uint8Array(await (await fetch(model)).arrayBuffer());
  const operations = Profile.load(file, () => performance.now());
  let lists;
  // The first runs are of code that the browser has not optimised yet.
  for (let run = 0; run < 4; run += 1) lists = operations.run(promptTokens, newTokens).map((list) => JSON.parse(list));
  const [prefill, decode] = lists;
  return { threads: 1, promptTokens, newTokens, peak, kernels, prefill, decode };
}

function measureRead() {
  const reading = Reading.create(READ_BYTES);
  const ms = median(() => reading.run(), { warm: 3 });
  reading.free();
  return READ_BYTES / ms / 1e6;
}

function measureKernel({ type, tokens, rows, columns, count }, peak) {
  const product = Product.create(type, tokens, rows, columns, count);
  const ms = median(() => product.run(), { warm: 10 });
  const gmacs = (tokens * rows * columns * count) / ms / 1e6;
  const gbps = product.bytes() / ms / 1e6;
  product.free();
  const share = Math.max(gmacs / peak.gmacs_per_thread, tokens === 1 ? gbps / peak.read_gbps : 0);
  return { type, tokens, rows, columns, count, gmacs, gbps, share_of_peak: share };
}

/** The first runs are of code that the browser has not optimised yet. */
function median(work, { warm }) {
  for (let run = 0; run < warm; run += 1) work();
  const times = Array.from({ length: REPEATS }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  });
  return times.sort((a, b) => a - b)[REPEATS >> 1];
}
