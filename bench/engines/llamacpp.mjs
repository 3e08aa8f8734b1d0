// llama.cpp as a native library, through node-llama-cpp; runs in a child process.
import { performance } from 'node:perf_hooks';
import { getLlama, LlamaLogLevel } from '../peers/node_modules/node-llama-cpp/dist/index.js';
import { longPrompt, storyPrompt } from './texts.mjs';

let model;
let sequence;

export async function load({ model: { path }, threads, contextTokens }) {
  const started = performance.now();
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
  model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({ contextSize: contextTokens, threads, batchSize: 512 });
  sequence = context.getSequence();
  return { loadMs: performance.now() - started, threads: context.currentThreads };
}

export async function prefill(options) {
  const tokens = model.tokenize(longPrompt(options));
  const { started, times } = await generate(tokens, 1);
  return { tokens: tokens.length, ms: times[0] - started };
}

export async function decode({ round, tokens }) {
  const { times } = await generate(model.tokenize(storyPrompt({ round })), tokens);
  return { tokens: times.length - 1, ms: times.at(-1) - times[0] };
}

/** Greedy; the times at which each token was there. */
async function generate(prompt, most) {
  await sequence.clearHistory();
  const started = performance.now();
  const times = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    times.push(performance.now());
    if (token === undefined || times.length === most) break;
  }
  return { started, times };
}
