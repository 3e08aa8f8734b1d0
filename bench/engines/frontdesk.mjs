// Frontdesk in a page: loads the SDK and times prefill, decoding, classification and embeddings.
/* global location, performance */
import { LABELS, longPrompt, storyPrompt, TICKETS } from './texts.mjs';

let desk;

/** Options that this SDK does not know are ignored by it; `describe` says what really runs. */
export async function load({ model, threads, variant, contextTokens }) {
  const started = performance.now();
  const { Frontdesk } = await import('/frontdesk/index.js');
  desk = await Frontdesk.create({
    model: { url: new URL(model.url, location.href).href, sha256: model.sha256, bytes: model.bytes },
    mode: 'only_on_device',
    contextTokens,
    threads,
    ...(variant && { moduleVariant: variant }),
  });
  return { loadMs: performance.now() - started, ...describe() };
}

/** What the desk says of itself now. */
export function describe() {
  const { variant, threads, memoryBytes, timing } = desk.model ?? desk.info;
  return { variant, threads, memoryBytes, timing };
}

export async function prefill(options) {
  const started = performance.now();
  const { frontdesk } = await desk.chat.completions.create({
    messages: user(longPrompt(options)),
    max_tokens: 1,
    temperature: 0,
  });
  const ms = performance.now() - started;
  const { promptTokens, cachedTokens } = frontdesk.local.usage;
  return { tokens: promptTokens - cachedTokens, ms };
}

export async function decode({ round, tokens }) {
  let first;
  let last;
  let completionTokens;
  const request = { messages: user(storyPrompt({ round })), max_tokens: tokens, temperature: 0, stream: true };
  for await (const chunk of desk.chat.completions.create(request)) {
    if (chunk.choices[0].delta.content) {
      last = performance.now();
      first ??= last;
    }
    completionTokens = chunk.frontdesk?.local.usage.completionTokens ?? completionTokens;
  }
  return { tokens: completionTokens - 1, ms: last - first };
}

/** Milliseconds from the start of the navigation to the first piece of an answer. */
export async function firstToken() {
  const request = { messages: user('Say hello to a customer.'), max_tokens: 16, temperature: 0, stream: true };
  for await (const chunk of desk.chat.completions.create(request)) {
    if (chunk.choices[0].delta.content) return { ms: performance.now() };
  }
  throw new Error('the answer was empty');
}

/** Each ticket once; the first of all warms the prefix that they share and is not counted. */
export async function classify() {
  const [warmUp, ...tickets] = [TICKETS.at(-1), ...TICKETS];
  await desk.classify(warmUp, { labels: LABELS });
  const samples = [];
  for (const ticket of tickets) {
    const started = performance.now();
    const { local } = await desk.classify(ticket, { labels: LABELS });
    const { promptTokens, cachedTokens } = local.usage;
    samples.push({ ms: performance.now() - started, tokens: promptTokens - cachedTokens });
  }
  return samples;
}

/** One text at a time; undefined where this SDK has no embeddings. */
export async function embed() {
  if (typeof desk.embed !== 'function') return undefined;
  await desk.embed([TICKETS.at(-1)]);
  const samples = [];
  for (const ticket of TICKETS) {
    const started = performance.now();
    await desk.embed([ticket]);
    samples.push({ ms: performance.now() - started });
  }
  return samples;
}

function user(content) {
  return [{ role: 'user', content }];
}
