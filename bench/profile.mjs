// Times kernels beside the machine's peaks, and a model by operation, in Chromium; writes docs/results/profile.json.
// Usage: node profile.mjs --module FOLDER --model FILE.gguf [--out FILE.json]
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch, openPage } from './hosts/browser.mjs';
import { serve } from './hosts/serve.mjs';

const here = fileURLToPath(new URL('./', import.meta.url));
const LIMIT_MS = 180_000;

const { values: options } = parseArgs({
  options: {
    module: { type: 'string' },
    model: { type: 'string' },
    out: { type: 'string', default: path.join(here, '../docs/results/profile.json') },
  },
});
if (!options.module || !options.model) throw new Error('usage: profile.mjs --module FOLDER --model FILE.gguf');

const folders = {
  '/engines/': path.join(here, 'engines'),
  '/kernels/': path.resolve(options.module),
  '/models/': path.dirname(path.resolve(options.model)),
};
const server = await serve(folders, { isolated: true });
const { browser, close } = await launch();
try {
  const page = await openPage(browser, { url: server.url, module: 'kernels.mjs' });
  const given = { model: `/models/${path.basename(options.model)}`, promptTokens: 256, newTokens: 64 };
  const profile = await page.call('profile', given, { ms: LIMIT_MS });
  const model = path.basename(options.model);
  mkdirSync(path.dirname(options.out), { recursive: true });
  writeFileSync(options.out, `${JSON.stringify({ model, ...profile }, rounded, 1)}\n`);
  console.table(
    profile.kernels.map(({ type, tokens, rows, columns, count, gmacs, gbps, share_of_peak: share }) => ({
      kernel: `${type}, ${tokens} x ${rows} x ${columns}, ${count} matrices`,
      'GMAC/s': gmacs.toFixed(1),
      'GB/s': gbps.toFixed(1),
      'of peak': `${(100 * share).toFixed(0)}%`,
    })),
  );
  const { gmacs_per_thread: dots, read_gbps: reads } = profile.peak;
  console.log(`peak of one thread: ${dots.toFixed(1)} GMAC/s, ${reads.toFixed(1)} GB/s read in four streams`);
  for (const phase of ['prefill', 'decode']) console.table(shares(profile[phase]));
} finally {
  await close();
  server.close();
}

function shares(operations) {
  const total = operations.reduce((sum, { ms }) => sum + ms, 0);
  return operations
    .toSorted((a, b) => b.ms - a.ms)
    .map(({ op, ms, macs, bytes }) => ({
      operation: op,
      ms: ms.toFixed(1),
      share: `${((100 * ms) / total).toFixed(1)}%`,
      'GMAC/s': macs > 0 ? (macs / ms / 1e6).toFixed(1) : '',
      'GB/s': bytes > 0 ? (bytes / ms / 1e6).toFixed(1) : '',
    }));
}

function rounded(_key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}
