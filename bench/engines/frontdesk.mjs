// Frontdesk in a page: loads the SDK and times prefill, decoding, classification and embeddings.
/* global location, performance */
import { LABELS, longPrompt, storyPrompt, TICKETS } from './texts.mjs';

/** How many texts are embedded together and one by one. */
const MANY = 1000;
/** Words of each of these: some 15 tokens. */
const SHORT_WORDS = 12;

let desk;
let options;

/** `describe` says what really runs. */
export async function load({ model, threads, variant, contextTokens, backend }) {
  const started = performance.now();
  const { Frontdesk } = await import('/frontdesk/index.js');
  options = {
    model: { url: new URL(model.url, location.href).href, sha256: model.sha256, bytes: model.bytes },
    mode: 'only_on_device',
    contextTokens,
    threads,
    ...(variant && { moduleVariant: variant }),
    ...(backend && { backend }),
  };
  desk = await Frontdesk.create(options);
  return { loadMs: performance.now() - started, ...describe() };
}

/** What the desk says of itself now. */
export function describe() {
  const { backend, variant, threads, memoryBytes, timing } = desk.model ?? desk.info;
  return { backend, variant, threads, memoryBytes, timing };
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
  let said = '';
  const request = { messages: user(storyPrompt({ round })), max_tokens: tokens, temperature: 0, stream: true };
  for await (const chunk of desk.chat.completions.create(request)) {
    if (chunk.choices[0].delta.content) {
      last = performance.now();
      first ??= last;
      said += chunk.choices[0].delta.content;
    }
    completionTokens = chunk.frontdesk?.local.usage.completionTokens ?? completionTokens;
  }
  return { tokens: completionTokens - 1, ms: last - first, said };
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

/** Samples of one text at a time, and `many` of them one by one and together, milliseconds in all. */
export async function embed() {
  const { Frontdesk } = await import('/frontdesk/index.js');
  const encoder = await Frontdesk.create({ ...options, reflex: 'minilm-l6', modelBaseUrl: '/models' });
  try {
    await encoder.embed(TICKETS);
    const samples = [];
    for (const ticket of TICKETS) {
      const started = performance.now();
      const { embeddings } = await encoder.embed([ticket]);
      samples.push({ ms: performance.now() - started, tokens: embeddings[0].tokens });
    }
    const short = TICKETS.map((ticket) => ticket.split(' ').slice(0, SHORT_WORDS).join(' '));
    const many = Array.from({ length: MANY }, (_, index) => short[index % short.length]);
    let started = performance.now();
    for (const text of many) await encoder.embed([text]);
    const aloneMs = performance.now() - started;
    started = performance.now();
    await encoder.embed(many);
    return { samples, many: { texts: MANY, aloneMs, togetherMs: performance.now() - started } };
  } finally {
    await encoder.destroy();
  }
}

function user(content) {
  return [{ role: 'user', content }];
}
