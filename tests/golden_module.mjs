// Holds a WebAssembly module to the golden values: teacher-forced top-1 agreement and mean KL.
// Usage: node golden_module.mjs FOLDER GOLDEN.json MODEL.gguf
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const LEAST_AGREEMENT = 0.975;
const MOST_DIVERGENCE = 0.003;

const [folder, goldenFile, modelFile] = process.argv.slice(2);
if (modelFile === undefined) throw new Error('usage: golden_module.mjs FOLDER GOLDEN.json MODEL.gguf');
const glue = await import(pathToFileURL(path.resolve(folder, 'kernels.js')).href);
glue.initSync({ module: await readFile(path.join(folder, 'kernels_bg.wasm')) });
const { cases } = JSON.parse(await readFile(goldenFile, 'utf8'));
const teacher = glue.Teacher.load(await readFile(modelFile));

let steps = 0;
let agreed = 0;
let divergence = 0;
for (const { prompt_ids: prompt, ids, top10_logits_then_logsumexp: golden } of cases) {
  let logits = teacher.begin(Uint32Array.from(prompt));
  golden.forEach((expected, step) => {
    if (step > 0) logits = teacher.follow(ids[step - 1]);
    steps += 1;
    agreed += largest(logits) === expected[0][0] ? 1 : 0;
    divergence += klDivergence(expected, logits);
  });
}
const agreement = agreed / steps;
const mean = divergence / steps;
console.log(`${path.basename(folder)}, ${path.basename(modelFile)}: ${steps} steps, top-1 ${(100 * agreement).toFixed(2)}%, mean KL ${mean.toFixed(5)}`);
if (!(steps >= 90 && agreement >= LEAST_AGREEMENT && mean <= MOST_DIVERGENCE)) {
  console.error(`at least ${100 * LEAST_AGREEMENT}% and at most ${MOST_DIVERGENCE} are wanted`);
  process.exitCode = 1;
}

function largest(values) {
  return values.reduce((best, value, index) => (value > values[best] ? index : best), 0);
}

/** Over the ten listed tokens and one bucket for the rest; the last pair holds the logarithm of the sum. */
function klDivergence(golden, logits) {
  const top = golden.slice(0, -1);
  const logSum = golden.at(-1)[1];
  const most = logits[largest(logits)];
  const ownLogSum = most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
  let rest = 1;
  let ownRest = 1;
  let sum = 0;
  for (const [token, logit] of top) {
    const expected = Math.exp(logit - logSum);
    const own = Math.exp(logits[token] - ownLogSum);
    sum += expected * Math.log(expected / own);
    rest -= expected;
    ownRest -= own;
  }
  return rest > 1e-9 ? sum + rest * Math.log(rest / Math.max(ownRest, 1e-12)) : sum;
}
