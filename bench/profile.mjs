// Times kernels beside the machine's peaks, and a model by operation, in Chromium; writes docs/results/profile.json.
// Usage: node profile.mjs --module FOLDER --model FILE.gguf [--out FILE.json]
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch, openPage } from './hosts/browser.mjs';
import { serve } from './hosts/serve.mjs';
import { profileTables } from './report/profile_tables.mjs';
import { toText } from './report/tables.mjs';

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
  for (const table of profileTables(profile)) console.log(`${toText(table)}\n`);
} finally {
  await close();
  server.close();
}

function rounded(_key, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}
