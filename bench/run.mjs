// Times Frontdesk beside its peers, all on this machine and in one run; started by ./build.sh bench.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MOST_ROUNDS } from './engines/texts.mjs';
import { sizeOf, timeDecisions, timeVisits, variantSizes } from './extras.mjs';
import { EXECUTABLE, launch, openPage } from './hosts/browser.mjs';
import { startChild } from './hosts/child.mjs';
import { serve } from './hosts/serve.mjs';
import { commit, describeMachine, packageVersion } from './machine.mjs';
import { ENGINE as ORT_NATIVE, ensureOnnx, ensurePython } from './peers/python.mjs';
import { amounts, CACHE, CONTEXT_TOKENS, ENGINES, MAIN_MODEL, plan, SDK } from './plan.mjs';
import { toJson, writeDocument } from './report/document.mjs';
import { summarise } from './report/summary.mjs';
import { busyText, tables, toText } from './report/tables.mjs';
import { attempt, loadRuns, playRounds } from './rounds.mjs';

const USAGE = `Usage: ./build.sh bench [--quick] [--json FILE] [--rounds N] [--engines NAME,...]

  --quick         two rounds of SmolLM2, without native onnxruntime and wllama's one thread
  --json FILE     write the results there
  --rounds N      1 to ${MOST_ROUNDS - 1}; default 5, quick 2
  --engines LIST  only these: ${Object.keys(ENGINES).join(', ')}

A run with neither --quick nor --engines also writes docs/performance.md and docs/results.
With --backend webgpu another benchmark runs, which has options of its own.`;

const here = fileURLToPath(new URL('./', import.meta.url));
const started = performance.now();
const note = (text) => console.error(`   ${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);

async function main() {
  const options = readOptions();
  const how = amounts(options);
  const planned = plan(options);
  const context = {
    date: new Date().toISOString().slice(0, 10),
    command: ['./build.sh bench', ...process.argv.slice(2)].join(' '),
    commit: commit(),
    quick: options.quick,
    rounds: how.rounds,
    machine: describeMachine({ chromium: EXECUTABLE }),
  };
  const servers = await startServers();
  const { browser, close } = await launch();
  const extras = { busy: [], visits: {}, sizes: variantSizes(SDK), notes: [] };
  try {
    const python = await preparePython(planned);
    for (const { model, runs } of planned) {
      note(`${model.title}: ${runs.length} runs`);
      const opened = { servers, browser, python, model };
      await loadRuns(
        runs.map((run) => prepare(run, opened)),
        { open: (run) => open(run, opened), note },
      );
      extras.busy.push(...(await playRounds(runs, { amounts: how, note })));
      for (const run of runs) await readMemory(run);
      if (model.id === MAIN_MODEL) await measureExtras({ runs, extras, visits: how.visits, servers, model });
      for (const run of runs) await run.host?.close();
    }
  } finally {
    await close();
    for (const server of Object.values(servers)) server.close();
  }
  const results = summarise({ context, models: planned, extras });
  report(results, options);
  const failures = failuresOfFrontdesk(results);
  if (failures.length > 0) console.error(`bench: Frontdesk failed: ${failures.join('; ')}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

/** Peers may be missing; Frontdesk may not. */
function failuresOfFrontdesk({ runs, first_token_ms: visits }) {
  const { name } = ENGINES.frontdesk;
  const failed = runs.filter((run) => run.engine === name && run.failed);
  const reasons = failed.map(({ id, failed: reason }) => `${id}: ${reason}`);
  return visits[name]?.failed ? [...reasons, `visits: ${visits[name].failed}`] : reasons;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        rounds: { type: 'string' },
        engines: { type: 'string' },
      },
    });
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1 && rounds < MOST_ROUNDS))
      throw new Error('--rounds is out of range');
    const engines = values.engines?.split(',');
    const unknown = engines?.find((name) => !(name in ENGINES));
    if (unknown !== undefined) throw new Error(`there is no engine "${unknown}"`);
    return { ...values, rounds, engines };
  } catch (error) {
    console.error(`bench: ${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function startServers() {
  const folders = {
    '/frontdesk/': SDK,
    '/engines/': path.join(here, 'engines'),
    '/node_modules/': path.join(here, 'node_modules'),
    '/models/': path.join(CACHE, 'models'),
    '/onnx/': path.join(CACHE, 'bench'),
  };
  return { isolated: await serve(folders, { isolated: true }), plain: await serve(folders, { isolated: false }) };
}

/** Where this fails the engines that need it are missing, with this reason, and the rest goes on. */
async function preparePython(planned) {
  const needed = planned.find(({ runs }) => runs.some(({ engine }) => ENGINES[engine].onnx));
  if (!needed) return {};
  try {
    const interpreter = await ensurePython({ cache: CACHE });
    const file = await ensureOnnx({ cache: CACHE, python: interpreter, model: needed.model });
    return { interpreter, onnx: { path: file, url: `/onnx/${path.basename(file)}` } };
  } catch (error) {
    return { failed: error.message };
  }
}

function prepare(run, { servers, python, model }) {
  const { where, package: folder } = ENGINES[run.engine];
  // Without isolation a page has no threads: so it is for visitors of ordinary sites.
  const server = run.threads === 1 ? servers.plain : servers.isolated;
  const options = {
    model,
    onnx: python.onnx,
    threads: run.threads,
    variant: run.variant,
    contextTokens: CONTEXT_TOKENS,
  };
  const isCode = (file) => /\.(?:m?js|wasm)$/.test(file) && !file.startsWith(path.join(here, 'engines'));
  const loaded = () => {
    if (where === 'page') run.download = sizeOf(server.takeServed().filter(isCode));
  };
  return Object.assign(run, { server, options, loaded, version: folder && packageVersion(folder) });
}

async function open(run, { browser, python }) {
  const { where, module, onnx } = ENGINES[run.engine];
  if (onnx && python.failed) throw new Error(python.failed);
  if (where === 'page') {
    run.server.takeServed();
    return openPage(browser, { url: run.server.url, module });
  }
  if (where === 'node') return startChild(process.execPath, [path.join(here, 'hosts/child_main.mjs'), module]);
  return startChild(python.interpreter, [ORT_NATIVE]);
}

async function readMemory(run) {
  if (run.engine !== 'frontdesk') return;
  await attempt(run, { note, what: 'describe' }, async () => {
    run.memoryBytes = (await run.host.call('describe', undefined, { ms: 10_000 })).memoryBytes;
  });
}

async function measureExtras({ runs, extras, visits, servers, model }) {
  const ours = runs.find(({ engine, main: isMain }) => engine === 'frontdesk' && isMain);
  if (!ours) return;
  await attempt(ours, { note, what: 'decisions' }, async () => {
    Object.assign(extras, await timeDecisions(ours, { note }));
  });
  if (!extras.embed?.samples) {
    extras.notes.push({ what: 'embeddings', text: `not measured: ${extras.embed?.failed ?? 'the run failed'}` });
  }
  const options = { model, threads: ours.threads, contextTokens: CONTEXT_TOKENS };
  const engines = runs.map(({ engine }) => engine);
  extras.visits = await timeVisits({ url: servers.isolated.url, options, engines, visits, note });
}

function report(results, { json, quick, engines }) {
  console.log(tables(results).map(toText).join('\n\n'));
  console.log(`\nMedians, with the range of the rounds in brackets; ${busyText(results)}.`);
  if (json) writeFileSync(json, toJson(results));
  if (quick || engines) return;
  writeDocument(results, { docs: path.join(here, '../docs'), note });
}

await main();
