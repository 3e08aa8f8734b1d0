import { launch } from '/work/dev/bench/hosts/browser.mjs';
import { serve } from '/work/dev/bench/hosts/serve.mjs';
import fs from 'node:fs';
const dir = process.argv[2] ?? '/work/dev';
const file = process.argv[3];
const cache = process.env.HOME + '/.cache/frontdesk/models';
const read = (f) => fs.readFileSync(f, 'utf8').trim().split('\n').map((l) => JSON.parse(l)).map(({ text, label }) => ({ text, label }));
const rows = read(file);
const test = read('/work/shared/data/banking77/test.jsonl').slice(0, 60);
const server = await serve({ '/frontdesk/': dir + '/www/sdk/dist', '/models/': cache }, { isolated: true });
const { browser, close } = await launch();
const page = await browser.newPage();
await page.goto(server.url);
const out = await page.evaluate(async ({ rows, test }) => {
  const { Frontdesk } = await import('/frontdesk/index.js');
  const desk = await Frontdesk.create({ modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'only_on_device', threads: 2 });
  const times = [];
  for (let i = 0; i < (rows.length > 3000 ? 1 : 4); i++) {
    const t = performance.now(); let read;
    const info = await desk.task('t').learn(rows, { onProgress: (e) => { if (e.type === 'learning') read ??= performance.now() - t; } });
    times.push([performance.now() - t, read, info.report.heldOutAccuracy]);
  }
  const ms = [];
  for (const { text } of test) { const t = performance.now(); await desk.classify(text, { task: 't' }); ms.push(performance.now() - t); }
  ms.sort((a, b) => a - b);
  return { times, p50: ms[ms.length >> 1], p95: ms[Math.floor(ms.length * .95)], threads: desk.info.threads };
}, { rows, test });
console.log(JSON.stringify(out));
await close(); server.close(); process.exit(0);
