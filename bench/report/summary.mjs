// Turns what was measured into the results: medians, ranges, ratios and targets.
import { CONTEXT_TOKENS, ENGINES, MAIN_MODEL } from '../plan.mjs';
import { TARGETS } from '../targets.mjs';
import { median, quantile, round } from './statistics.mjs';

const PEERS = { wllama: 'wllama', ort_web: 'ort_web', llamacpp_native: 'llamacpp', ort_native: 'ort_native' };
const CACHE_ELEMENT_BYTES = 4; // The engine keeps keys and values as float32 (src/kernels/attention.rs).

/** The results as they are written to JSON. `measured` is what run.mjs gathered. */
export function summarise(measured) {
  const { context, models, extras } = measured;
  const runs = models.flatMap(({ model, runs: ofModel }) => ofModel.map((run) => describeRun(run, model)));
  const main = models.find(({ model }) => model.id === MAIN_MODEL)?.runs.filter((run) => run.main) ?? [];
  const results = {
    ...context,
    busy_elsewhere: busyElsewhere(extras.busy),
    runs,
    ...ratiosOf(main),
    classify: latencies(extras.classify),
    embed: latencies(extras.embed?.samples),
    embed_many: extras.embed?.many ?? null,
    first_token_ms: Object.fromEntries(
      Object.entries(extras.visits).map(([engine, times]) => [ENGINES[engine].name, visitTimes(times)]),
    ),
    sizes: extras.sizes,
    notes: extras.notes,
  };
  return { ...results, targets: TARGETS.map((target) => judge(target, results)) };
}

/** Shares of the cores (0 to 1) that others used between the turns. */
function busyElsewhere(shares) {
  return shares.length === 0 ? null : { median: round(median(shares)), most: round(Math.max(...shares)) };
}

function describeRun(run, model) {
  const { engine, threads, variant, rounds = {}, info = {}, failed } = run;
  const base = {
    engine: ENGINES[engine].name,
    id: run.id,
    model: model.title,
    threads: info.threads ?? threads,
    variant: info.variant ?? null,
    version: run.version ?? info.version ?? null,
  };
  if (failed) return { ...base, failed };
  return {
    ...base,
    main: run.main,
    asked: { threads, variant: variant ?? null },
    prefill_tps: round(median(rounds.prefill_tps ?? [])),
    ...(rounds.prefill_1024_tps && { prefill_1024_tps: round(median(rounds.prefill_1024_tps)) }),
    decode_tps: round(median(rounds.decode_tps ?? [])),
    load_ms: Math.round(info.loadMs),
    ...(info.timing && {
      load_parts_ms: { fetch: Math.round(info.timing.fetchMs), load: Math.round(info.timing.loadMs) },
    }),
    prompt_tokens: run.promptTokens,
    rounds: Object.fromEntries(Object.entries(rounds).map(([name, values]) => [name, values.map(round)])),
    ...(run.download && { download: run.download }),
    ...(run.memoryBytes && { memory: memoryOf(run.memoryBytes, model) }),
  };
}

/** WebAssembly memory never shrinks, so what it is after the last round is the most it was. */
function memoryOf(bytes, { bytes: modelBytes, layers, kvHeads, headDimensions }) {
  const cacheBytes = 2 * layers * kvHeads * headDimensions * CONTEXT_TOKENS * CACHE_ELEMENT_BYTES;
  return {
    wasm_bytes: bytes,
    model_bytes: modelBytes,
    cache_bytes: cacheBytes,
    ratio: round(bytes / (modelBytes + cacheBytes)),
  };
}

/** Medians of the ratios of each round, and their ranges; null where one side is missing. */
function ratiosOf(runs) {
  const ours = runs.find(({ engine }) => engine === 'frontdesk');
  const ratios = {};
  const ranges = {};
  for (const [name, engine] of Object.entries(PEERS)) {
    const theirs = runs.find((run) => run.engine === engine);
    for (const measure of ['prefill', 'decode']) {
      const key = `${measure}_vs_${name}`;
      const values = ratiosByRound(ours, theirs, `${measure}_tps`);
      ratios[key] = round(median(values));
      ranges[key] = values.length > 0 ? [round(Math.min(...values)), round(Math.max(...values))] : null;
    }
  }
  return { ratios, ratio_ranges: ranges };
}

function ratiosByRound(ours, theirs, measure) {
  if (!ours || !theirs || ours.failed || theirs.failed) return [];
  return ours.rounds[measure].map((value, index) => value / theirs.rounds[measure][index]);
}

function latencies(samples) {
  if (!Array.isArray(samples)) return null;
  const times = samples.map(({ ms }) => ms);
  const tokens = samples.flatMap(({ tokens: count }) => count ?? []);
  return {
    p50_ms: round(quantile(times, 0.5)),
    p90_ms: round(quantile(times, 0.9)),
    ...(tokens.length > 0 && { median_tokens: round(median(tokens)) }),
    samples_ms: times.map(round),
  };
}

function visitTimes(times) {
  if (!Array.isArray(times)) return { failed: times.failed };
  return { median: round(median(times)), visits: times.map(round) };
}

function judge({ name, least, most, of }, results) {
  const measured = round(of(results));
  const met = measured === null ? null : least === undefined ? measured <= most : measured >= least;
  return { name, measured, target: least === undefined ? `at most ${most}` : `at least ${least}`, met };
}
