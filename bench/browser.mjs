// Prefill and decode of Frontdesk beside wllama: one Chromium, one thread each, rounds interleaved.
// Usage: node browser.mjs --model FILE.gguf [--rounds 3] [--words 256] [--tokens 64] [--out FILE.json]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { serve } from './serve.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    words: { type: 'string', default: '256' },
    tokens: { type: 'string', default: '64' },
    out: { type: 'string' },
  },
});
if (!options.model) {
  console.error('--model FILE.gguf is missing');
  process.exit(2);
}

/** In the page: loads an engine and leaves `run(prompt, maxTokens)` on the window. */
const engines = {
  frontdesk: async ({ model, sha256 }) => {
    const { Frontdesk } = await import('/frontdesk/index.js');
    const url = new URL(model, location.href).href;
    const desk = await Frontdesk.create({ model: { url, sha256 }, mode: 'only_on_device' });
    globalThis.run = async (prompt, maxTokens) => {
      const started = performance.now();
      const messages = [{ role: 'user', content: prompt }];
      const chunks = await desk.chat.completions.create({ messages, max_tokens: maxTokens, stream: true });
      let first;
      let last;
      let tokens = 0;
      for await (const chunk of chunks) {
        const text = chunk.choices[0]?.delta?.content;
        if (text) {
          first ??= performance.now();
          last = performance.now();
          tokens += 1;
        }
        if (chunk.frontdesk) globalThis.details = chunk.frontdesk;
      }
      const { promptTokens, cachedTokens } = globalThis.details.local.usage;
      return { prompt: promptTokens - cachedTokens, first: first - started, tokens, decode: last - first };
    };
  },
  wllama: async ({ model }) => {
    const { Wllama } = await import('/wllama/index.js');
    const wllama = new Wllama({ default: '/wllama/wasm/wllama.wasm' });
    const url = new URL(model, location.href).href;
    await wllama.loadModelFromUrl(url, { n_threads: 1, n_gpu_layers: 0, n_ctx: 2048, useCache: false });
    globalThis.run = async (prompt, maxTokens) => {
      const started = performance.now();
      const stream = await wllama.createCompletion({
        prompt,
        max_tokens: maxTokens,
        temperature: 0,
        stream: true,
        ignore_eos: true,
        timings_per_token: true,
      });
      let first;
      let last;
      let tokens = 0;
      let timings;
      for await (const chunk of stream) {
        first ??= performance.now();
        last = performance.now();
        tokens += 1;
        timings = chunk.timings ?? timings;
      }
      return { prompt: timings.prompt_n, first: first - started, tokens, decode: last - first };
    };
  },
};

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function sha256(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

const modelFile = path.resolve(options.model);
const server = await serve(
  {
    '/frontdesk/': path.join(here, '../www/sdk/dist'),
    '/wllama/': path.join(here, 'node_modules/@wllama/wllama/esm'),
    '/models/': path.dirname(modelFile),
  },
  { isolated: false },
);
const executablePath = process.env.FRONTDESK_CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});
const results = {};
try {
  const source = { model: `/models/${path.basename(modelFile)}`, sha256: await sha256(modelFile) };
  const pages = {};
  for (const [name, load] of Object.entries(engines)) {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(server.url);
    const started = performance.now();
    await page.evaluate(load, source);
    results[name] = { loadMs: performance.now() - started, prefill: [], decode: [] };
    pages[name] = page;
  }
  const words = ['the', 'ticket', 'system', 'failed', 'again', 'on', 'monday', 'and'];
  for (let round = 0; round <= Number(options.rounds); round += 1) {
    for (const [name, page] of Object.entries(pages)) {
      // Each round begins with another word, so that no cached prefix is reused.
      const text = Array.from({ length: Number(options.words) }, (_, i) => words[i % 8]).join(' ');
      const run = (prompt, tokens) =>
        page.evaluate(([p, t]) => globalThis.run(p, t), [prompt, tokens]);
      const long = await run(`${words[round % 8]}${round} ${text}`, 1);
      const short = await run(`Round ${round}: once upon a time`, Number(options.tokens));
      if (round === 0) continue; // warm-up
      results[name].prefill.push((long.prompt / long.first) * 1000);
      results[name].decode.push(((short.tokens - 1) / short.decode) * 1000);
    }
  }
} finally {
  await browser.close();
  server.close();
}

const table = Object.fromEntries(
  Object.entries(results).map(([name, { loadMs, prefill, decode }]) => [
    name,
    {
      'load ms': Math.round(loadMs),
      'prefill tok/s': Number(median(prefill).toFixed(1)),
      'decode tok/s': Number(median(decode).toFixed(1)),
    },
  ]),
);
console.table(table);
const ratio = (key) => table.frontdesk[key] / table.wllama[key];
console.log(`prefill ${ratio('prefill tok/s').toFixed(1)}x wllama, decode ${ratio('decode tok/s').toFixed(1)}x`);
if (options.out) {
  const report = {
    what: 'medians of interleaved rounds in one headless Chromium, one thread each, wall clock in the page',
    date: new Date().toISOString().slice(0, 10),
    machine: `${os.cpus().length} x ${os.cpus()[0]?.model ?? 'unknown'}`,
    chromium: execFileSync(executablePath, ['--version']).toString().trim(),
    model: path.basename(modelFile),
    words: Number(options.words),
    tokens: Number(options.tokens),
    rounds: Number(options.rounds),
    engines: table,
  };
  writeFileSync(options.out, `${JSON.stringify(report, null, 2)}\n`);
}
