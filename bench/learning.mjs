// Times learning and answering of tasks in Chromium, weighs what they leave, and adds it to docs/results/decisions.json.
// Usage: node learning.mjs --data FOLDER [--json FILE]
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch, openPage } from './hosts/browser.mjs';
import { serve } from './hosts/serve.mjs';
import { CACHE, SDK } from './plan.mjs';
import { median, quantile } from './report/statistics.mjs';

const here = fileURLToPath(new URL('./', import.meta.url));
const LIMIT_MS = 600_000;
const THREADS = 2;
const ANSWERS = 60;
const RUNS = [
  { file: 'banking77/train_10shot.jsonl', repeats: 5 },
  { file: 'banking77/train.jsonl', repeats: 3 },
];

const { values: options } = parseArgs({
  options: { data: { type: 'string' }, json: { type: 'string', default: path.join(here, '../docs/results/decisions.json') } },
});
if (!options.data) throw new Error('usage: learning.mjs --data FOLDER [--json FILE]');

const rowsOf = (file) =>
  readFileSync(path.join(options.data, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ text, label }) => ({ text, label }));
const rounded = (ms) => Math.round(ms * 10) / 10;

// Messages of about 32 tokens: some 120 characters.
const texts = rowsOf('banking77/test.jsonl')
  .map(({ text }) => text)
  .filter(({ length }) => length > 100 && length < 140)
  .slice(0, ANSWERS);
const folders = { '/engines/': path.join(here, 'engines'), '/frontdesk/': SDK, '/models/': path.join(CACHE, 'models') };
const server = await serve(folders, { isolated: true });
const { browser, close } = await launch();
try {
  const measured = [];
  for (const { file, repeats } of RUNS) {
    const rows = rowsOf(file);
    const page = await openPage(browser, { url: server.url, module: 'learning.mjs' });
    const threads = await page.call('start', { threads: THREADS }, { ms: LIMIT_MS });
    const memory = [await largestRenderer(browser)];
    const learning = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      learning.push(await page.call('learn', { rows }, { ms: LIMIT_MS }));
      memory.push(await largestRenderer(browser));
    }
    const answers = await page.call('answer', { texts }, { ms: LIMIT_MS });
    await page.close();
    measured.push({
      examples: rows.length,
      threads,
      learn_ms: rounded(median(learning.map(({ ms }) => ms))),
      read_ms: rounded(median(learning.map(({ readMs }) => readMs))),
      answer_p50_ms: rounded(median(answers)),
      answer_p95_ms: rounded(quantile(answers, 0.95)),
      memory_mb: memory.map((bytes) => Math.round(bytes / 1e6)),
    });
    console.error(`   ${JSON.stringify(measured.at(-1))}`);
  }
  const results = JSON.parse(readFileSync(options.json, 'utf8'));
  writeFileSync(options.json, `${JSON.stringify({ ...results, browser: measured }, undefined, 2)}\n`);
} finally {
  await close();
  server.close();
}

/** Resident bytes of the largest page with its workers, as the system counts them. */
async function largestRenderer(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const resident = ({ id }) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  return Math.max(...processInfo.filter(({ type }) => type === 'renderer').map(resident));
}
