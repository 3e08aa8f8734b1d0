// wllama in a page: llama.cpp compiled to WebAssembly.
/* global location, performance */
import { longPrompt, storyPrompt } from './texts.mjs';

let wllama;

export async function load({ model, threads, contextTokens, gpuLayers = 0, keepModel = false }) {
  const started = performance.now();
  const { Wllama } = await import('/node_modules/@wllama/wllama/esm/index.min.js');
  wllama = new Wllama({ default: '/node_modules/@wllama/wllama/esm/wasm/wllama.wasm' }, { suppressNativeLog: true });
  await wllama.loadModelFromUrl(new URL(model.url, location.href).href, {
    n_threads: threads,
    n_gpu_layers: gpuLayers,
    n_ctx: contextTokens,
    useCache: keepModel,
  });
  return { loadMs: performance.now() - started, ...describe() };
}

export function describe() {
  return { threads: wllama.isMultithread() ? wllama.getNumThreads() : 1 };
}

export async function prefill(options) {
  const started = performance.now();
  const { timings } = await chat(longPrompt(options), { max_tokens: 1 });
  return { tokens: timings.prompt_n, ms: performance.now() - started };
}

export async function decode({ round, tokens }) {
  const { first, last, said, timings } = await chat(storyPrompt({ round }), { max_tokens: tokens, ignore_eos: true });
  return { tokens: timings.predicted_n - 1, ms: last - first, said };
}

/** Milliseconds from the start of the navigation to the first piece of an answer. */
export async function firstToken() {
  const { first } = await chat('Say hello to a customer.', { max_tokens: 2 });
  return { ms: first };
}

async function chat(content, options) {
  const stream = await wllama.createChatCompletion({
    messages: [{ role: 'user', content }],
    temperature: 0,
    stream: true,
    timings_per_token: true,
    ...options,
  });
  let first;
  let last;
  let timings;
  let said = '';
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) {
      last = performance.now();
      first ??= last;
      said += chunk.choices[0].delta.content;
    }
    timings = chunk.timings ?? timings;
  }
  return { first, last, said, timings };
}
