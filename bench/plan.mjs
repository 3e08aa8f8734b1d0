// What is run: models, engines, and each engine's threads; the order is that of the tables.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('./', import.meta.url));
export const CACHE = process.env.FRONTDESK_CACHE ?? path.join(process.env.HOME, '.cache/frontdesk');
export const SDK = path.join(here, '../www/sdk/dist');
export const CONTEXT_TOKENS = 2048;
/** All ratios and the extra measures are of this model and this many threads. */
export const MAIN_MODEL = 'smollm2-135m-instruct';
export const MAIN_THREADS = 2;

/** `where` an engine runs: a page, a Node process or a Python process; `onnx`: it reads the graph, not the GGUF. */
export const ENGINES = {
  frontdesk: { name: 'Frontdesk', where: 'page', module: 'frontdesk.mjs', package: path.join(here, '../www/sdk') },
  wllama: {
    name: 'wllama',
    where: 'page',
    module: 'wllama.mjs',
    package: path.join(here, 'node_modules/@wllama/wllama'),
  },
  ort_web: {
    name: 'onnxruntime-web',
    where: 'page',
    module: 'ort_web.mjs',
    package: path.join(here, 'node_modules/onnxruntime-web'),
    onnx: true,
  },
  llamacpp: {
    name: 'llama.cpp, native',
    where: 'node',
    module: 'llamacpp.mjs',
    package: path.join(here, 'peers/node_modules/node-llama-cpp'),
  },
  ort_native: { name: 'onnxruntime, native', where: 'python', onnx: true },
};

const EVERY_MODEL = [
  { engine: 'frontdesk', threads: 2, long: true },
  { engine: 'wllama', threads: 2 },
  { engine: 'llamacpp', threads: 2 },
];
const MAIN_ONLY = [
  { engine: 'ort_web', threads: 2 },
  { engine: 'ort_native', threads: 2 },
  { engine: 'frontdesk', threads: 2, variant: 'simd-threads' },
  { engine: 'frontdesk', threads: 1 },
  { engine: 'wllama', threads: 1 },
];
/** A quick run leaves out what takes long and is in no ratio, and what it would have to install. */
const isQuick = ({ engine, threads }) => engine !== 'ort_native' && !(engine === 'wllama' && threads === 1);

/** Numbers of layers, key-value heads and their dimensions give the size of the KV cache. */
const SHAPES = {
  'smollm2-135m-instruct': { title: 'SmolLM2-135M-Instruct Q4_1', layers: 30, kvHeads: 3, headDimensions: 64 },
  'gemma3-270m': { title: 'Gemma 3 270M Q4_K_M', layers: 18, kvHeads: 1, headDimensions: 256 },
};

/** How much is measured. A quick run is for a look while working, not for the record. */
export function amounts({ quick, rounds }) {
  return {
    rounds: rounds ?? (quick ? 2 : 5),
    visits: quick ? 2 : 5,
    promptTokens: 256,
    longPromptTokens: 1024,
    newTokens: quick ? 32 : 64,
    // Enough for browsers to replace their first, slow code.
    warmUp: quick ? { promptTokens: 48, newTokens: 6 } : { promptTokens: 256, newTokens: 64 },
  };
}

/** Models with their runs; a run's `id` names it in messages. */
export function plan({ quick, engines }) {
  const models = readManifest().filter(({ id }) => id === MAIN_MODEL || !quick);
  return models.map((model) => {
    const runs = [...EVERY_MODEL, ...(model.id === MAIN_MODEL ? MAIN_ONLY : [])]
      .filter((run) => !quick || isQuick(run))
      .filter(({ engine }) => !engines || engines.includes(engine))
      .map((run) => ({ ...run, id: nameOf(run), main: isMain(run) }));
    return { model, runs };
  });
}

function isMain({ threads, variant }) {
  return threads === MAIN_THREADS && variant === undefined;
}

function nameOf({ engine, threads, variant }) {
  return [ENGINES[engine].name, ...(variant ? [variant] : []), `${threads} thread${threads === 1 ? '' : 's'}`].join(
    ', ',
  );
}

function readManifest() {
  const { models } = JSON.parse(readFileSync(path.join(here, '../models/manifest.json'), 'utf8'));
  return Object.entries(SHAPES).map(([id, shape]) => {
    const { file, sha256, bytes } = models.find((model) => model.id === id);
    return { id, sha256, bytes, url: `/models/${file}`, path: path.join(CACHE, 'models', file), ...shape };
  });
}
