// Times Frontdesk and its peers on WebGPU, all on one adapter and in one run: SwiftShader, where there is no GPU.
// Started by ./build.sh bench --backend webgpu.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MOST_ROUNDS } from './engines/texts.mjs';
import { EXECUTABLE, launch, openPage } from './hosts/browser.mjs';
import { watchGpu } from './hosts/gpu_watch.mjs';
import { serve } from './hosts/serve.mjs';
import { busyShare, commit, describeMachine, packageVersion } from './machine.mjs';
import { ensureOnnx, ensurePython } from './peers/python.mjs';
import { CACHE, CONTEXT_TOKENS, ENGINES, MAIN_THREADS, plan, SDK } from './plan.mjs';
import { median, round as rounded } from './report/statistics.mjs';
import { toMarkdown } from './report/tables.mjs';
import { attempt } from './rounds.mjs';

/**
 * One row each. `load` goes to the engine's `load`; what an engine says in its CPU row is what its GPU rows
 * are compared with. `subgroups: false` hides that feature of the adapter from the page.
 */
const ROWS = [
  { engine: 'frontdesk', asked: 'WebGPU', load: { backend: 'webgpu' } },
  { engine: 'frontdesk', asked: 'CPU', load: {} },
  { engine: 'wllama', asked: 'WebGPU', load: { gpuLayers: 999 } },
  { engine: 'wllama', asked: 'CPU', load: { gpuLayers: 0 } },
  { engine: 'ort_web', asked: 'WebGPU', load: { backend: 'webgpu' } },
  // With SwiftShader's subgroups, of four lanes, onnxruntime says other tokens than on the CPU; without, the same.
  { engine: 'ort_web', asked: 'WebGPU without subgroups', load: { backend: 'webgpu' }, subgroups: false },
  { engine: 'ort_web', asked: 'CPU', load: { backend: 'wasm' } },
];
const ENGINE_NAMES = [...new Set(ROWS.map(({ engine }) => engine))];
const FLAGS = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 8;
const WARM_UP_TOKENS = 3;
const LOOK_MS = 300;
const ASK_MS = 30_000;
const DEFAULT_ROUNDS = 3;
const DEFAULT_LIMIT_S = 400;

const USAGE = `Usage: ./build.sh bench --backend webgpu [--rounds N] [--limit SECONDS] [--engines NAME,...] [--json FILE]

  --rounds N       1 to ${MOST_ROUNDS - 1}; default ${DEFAULT_ROUNDS}
  --limit SECONDS  that each row may take, loading included; default ${DEFAULT_LIMIT_S}
  --engines LIST   only these: ${ENGINE_NAMES.join(', ')}
  --json FILE      write the results there`;

const here = fileURLToPath(new URL('./', import.meta.url));
const started = performance.now();
const note = (text) => console.error(`   ${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);

async function main() {
  const options = readOptions();
  const context = {
    date: new Date().toISOString().slice(0, 10),
    command: ['./build.sh bench --backend webgpu', ...process.argv.slice(2)].join(' '),
    commit: commit(),
    machine: describeMachine({ chromium: EXECUTABLE }),
    prompt_tokens: PROMPT_TOKENS,
    new_tokens: NEW_TOKENS,
    limit_s: options.limit,
  };
  const [{ model }] = plan({ quick: true });
  const python = options.engines.some((name) => ENGINES[name].onnx) ? await preparePython(model) : {};
  const server = await serve(
    {
      '/frontdesk/': SDK,
      '/engines/': path.join(here, 'engines'),
      '/node_modules/': path.join(here, 'node_modules'),
      '/models/': path.join(CACHE, 'models'),
      '/onnx/': path.join(CACHE, 'bench'),
    },
    { isolated: true },
  );
  const { browser, close } = await launch({ args: FLAGS });
  const runs = ROWS.filter(({ engine }) => options.engines.includes(engine)).map((row) => ({
    ...row,
    id: `${ENGINES[row.engine].name}, ${row.asked}`,
    version: packageVersion(ENGINES[row.engine].package),
    leftMs: options.limit * 1000,
    rounds: [],
  }));
  let adapter;
  const busy = [];
  try {
    adapter = await readAdapter(browser, server.url);
    note(`adapter: ${JSON.stringify(adapter)}`);
    for (const run of runs) {
      await attempt(run, { note, what: 'load' }, () => start(run, { browser, server, python, model }));
    }
    for (let round = 1; round <= options.rounds; round += 1) {
      // Each round begins with another engine, so that none always follows the same one.
      const first = round % runs.length;
      for (const run of [...runs.slice(first), ...runs.slice(0, first)]) {
        if (run.failed || run.stopped) continue;
        busy.push(await busyShare(LOOK_MS));
        await play(run, round);
      }
    }
  } finally {
    await close();
    server.close();
  }
  const results = { ...context, adapter, busy_elsewhere: shares(busy), runs: runs.map((run) => describe(run, runs)) };
  report(results, options);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'string' },
        rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
        limit: { type: 'string', default: String(DEFAULT_LIMIT_S) },
        engines: { type: 'string', default: ENGINE_NAMES.join() },
      },
    });
    const [rounds, limit] = [Number(values.rounds), Number(values.limit)];
    if (!(Number.isInteger(rounds) && rounds >= 1 && rounds < MOST_ROUNDS)) throw new Error('--rounds is out of range');
    if (!(limit > 0)) throw new Error('--limit is out of range');
    const engines = values.engines.split(',');
    const unknown = engines.find((name) => !ENGINE_NAMES.includes(name));
    if (unknown !== undefined) throw new Error(`there is no engine "${unknown}"`);
    return { json: values.json, rounds, limit, engines };
  } catch (error) {
    console.error(`bench: ${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

/** Where this fails only onnxruntime is missing, with this reason. */
async function preparePython(model) {
  try {
    const file = await ensureOnnx({ cache: CACHE, python: await ensurePython({ cache: CACHE }), model });
    return { onnx: { path: file, url: `/onnx/${path.basename(file)}` } };
  } catch (error) {
    return { failed: error.message };
  }
}

async function readAdapter(browser, url) {
  const page = await openPage(browser, { url, module: 'gpu.mjs' });
  const adapter = await page.call('adapter', undefined, { ms: ASK_MS });
  await page.close();
  if (!adapter) throw new Error('this browser offers no WebGPU adapter');
  return adapter;
}

/** Loads the engine and warms what it compiles for either measure. */
async function start(run, { browser, server, python, model }) {
  if (ENGINES[run.engine].onnx && python.failed) throw new Error(python.failed);
  const before = watchGpu({ subgroups: run.subgroups });
  run.host = await openPage(browser, { url: server.url, module: ENGINES[run.engine].module, before });
  const options = { model, onnx: python.onnx, threads: MAIN_THREADS, contextTokens: CONTEXT_TOKENS, ...run.load };
  run.info = await spend(run, 'load', options);
  await spend(run, 'prefill', { round: 0, tokens: PROMPT_TOKENS });
  await spend(run, 'decode', { round: 0, tokens: WARM_UP_TOKENS });
  const seconds = (ms) => (ms / 1000).toFixed(1);
  note(`${run.id}: loaded in ${seconds(run.info.loadMs)} s and warm, ${seconds(run.leftMs)} s left`);
}

/** A call at the expense of the run's own time limit. */
async function spend(run, method, options) {
  const called = performance.now();
  try {
    return await run.host.call(method, options, { ms: Math.max(run.leftMs, 1) });
  } finally {
    run.leftMs -= performance.now() - called;
  }
}

/** One round; a run that fails in a later one, or whose time limit ends, keeps the rounds before. */
async function play(run, round) {
  const given = run.leftMs;
  // Half a round is worth nothing: begin none that will not end.
  if (run.rounds.length > 0 && given < run.longestMs) {
    run.stopped = 'time limit';
    return;
  }
  await attempt(run, { note, what: `round ${round}` }, async () => {
    try {
      await measure(run, round);
    } catch (error) {
      if (run.rounds.length === 0) throw error;
      run.stopped = run.leftMs > 0 ? `round ${round}: ${error.message.split('\n')[0]}` : 'time limit';
      note(`${run.id} stopped: ${run.stopped}`);
      await run.host.close();
    }
    run.longestMs = Math.max(run.longestMs ?? 0, given - run.leftMs);
  });
}

async function measure(run, round) {
  const prefill = await spend(run, 'prefill', { round, tokens: PROMPT_TOKENS });
  if (prefill.tokens < PROMPT_TOKENS * 0.8) throw new Error(`only ${prefill.tokens} prompt tokens were computed`);
  const decode = await spend(run, 'decode', { round, tokens: NEW_TOKENS });
  if (decode.tokens < NEW_TOKENS - 2) throw new Error(`only ${decode.tokens} tokens were generated`);
  const perSecond = ({ tokens, ms }) => (tokens / ms) * 1000;
  const figures = { round, prefill_tps: perSecond(prefill), decode_tps: perSecond(decode), said: decode.said };
  run.gpu = await run.host.call('work', undefined, { ms: ASK_MS, of: 'gpu.mjs' });
  run.rounds.push({ ...figures, promptTokens: prefill.tokens });
  note(`round ${round}, ${run.id}: ${[figures.prefill_tps, figures.decode_tps].map(rounded).join(' and ')} tokens/s`);
}

function shares(busy) {
  return busy.length === 0 ? null : { median: rounded(median(busy)), most: rounded(Math.max(...busy)) };
}

function describe(run, runs) {
  const { engine, asked, version, failed, stopped, rounds, info, gpu } = run;
  const base = { engine: ENGINES[engine].name, asked, version: version ?? null };
  if (failed) return { ...base, failed };
  const of = (name) => rounds.map((figures) => rounded(figures[name]));
  return {
    ...base,
    ...(stopped && { stopped }),
    ran_on: gpu.dispatches > 0 ? 'GPU' : 'CPU',
    gpu,
    load_ms: Math.round(info.loadMs),
    prompt_tokens: rounds[0]?.promptTokens,
    prefill_tps: rounded(median(rounds.map(({ prefill_tps: value }) => value))),
    decode_tps: rounded(median(rounds.map(({ decode_tps: value }) => value))),
    rounds: { prefill_tps: of('prefill_tps'), decode_tps: of('decode_tps') },
    same_as_cpu: sameAsCpu(run, runs),
  };
}

/** In how many rounds the engine said what it says on the CPU; null where that is not known. */
function sameAsCpu(run, runs) {
  const cpu = runs.find(({ engine, asked }) => engine === run.engine && asked === 'CPU');
  if (!cpu || cpu === run) return null;
  const pairs = run.rounds.flatMap(({ round, said }) => {
    const theirs = cpu.rounds.find((other) => other.round === round);
    return theirs ? [theirs.said === said] : [];
  });
  return pairs.length === 0 ? null : { rounds: pairs.length, same: pairs.filter(Boolean).length };
}

function report(results, { json }) {
  const { adapter, machine, runs, busy_elsewhere: busy } = results;
  console.log(toMarkdown(table(results)));
  const failed = runs.filter((run) => run.failed);
  if (failed.length > 0) {
    const rows = failed.map(({ engine, asked, failed: reason }) => [engine, asked, reason]);
    console.log(`\n${toMarkdown({ title: 'Missing', columns: ['engine', 'asked for', 'reason'], rows })}`);
  }
  const name = [adapter.vendor, adapter.architecture, adapter.description].filter(Boolean).join(', ');
  const percent = (share) => (share === undefined ? '?' : `${Math.round(share * 100)}%`);
  const features = adapter.features.join(', ') || 'neither shader-f16 nor subgroups';
  console.log(`
Adapter: ${name}; subgroups of ${adapter.subgroup_sizes.join(' to ')}; of shader-f16 and subgroups it has: ${features}.
${machine.chromium}; ${machine.cores} cores of ${machine.cpu}. Medians, with the range of the rounds in brackets. Where
no dispatch reached the GPU, the engine computed on the CPU, whatever it was asked for. Between the turns
something else used ${percent(busy?.median)} of the cores (median; at most ${percent(busy?.most)}).`);
  if (json) writeFileSync(json, `${JSON.stringify(results, null, 1)}\n`);
  const ours = runs.find(({ engine, asked }) => engine === ENGINES.frontdesk.name && asked !== 'CPU');
  if (!ours) return;
  const trouble = ours.failed ?? (ours.ran_on === 'GPU' ? undefined : 'nothing reached the GPU');
  if (trouble) console.error(`webgpu: Frontdesk failed: ${trouble}`);
  process.exitCode = trouble ? 1 : 0;
}

function table({ runs, prompt_tokens: prompt, new_tokens: fresh }) {
  const figure = (value, values) => {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return least < most ? `${value} (${least}-${most})` : String(value);
  };
  const same = (counts) => (counts ? `${counts.same} of ${counts.rounds}` : '-');
  return {
    title: `WebGPU, SmolLM2-135M-Instruct Q4_1: a prompt of about ${prompt} tokens, ${fresh} new ones`,
    columns: [
      'engine',
      'version',
      'asked for',
      'ran on',
      'prefill, tokens/s',
      'decode, tokens/s',
      'rounds',
      'said the same as its CPU row',
      'GPU dispatches',
    ],
    rows: runs.map((run) => {
      const start = [run.engine, run.version ?? '-', run.asked];
      if (run.failed) return [...start, 'missing', '-', '-', '-', '-', '-'];
      const speeds = ['prefill_tps', 'decode_tps'].map((name) => figure(run[name], run.rounds[name]));
      const count = `${run.rounds.prefill_tps.length}${run.stopped ? ` (${run.stopped})` : ''}`;
      return [...start, run.ran_on, ...speeds, count, same(run.same_as_cpu), String(run.gpu.dispatches)];
    }),
  };
}

await main();
