// The rounds: every engine in turn, one at a time, so that a slow minute of the machine hits all of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { busyShare } from './machine.mjs';

const LOAD_LIMIT_MS = 180_000;
const CALL_LIMIT_MS = 180_000;
/** How long the engine before may take to come to rest, and how long is looked for work of others. */
const REST_MS = 100;
const LOOK_MS = 300;
/** Fewer tokens than this say nothing about the speed of decoding. */
const LEAST_NEW_TOKENS = 16;

/** What the runs are called in the results, and how they are asked for. */
const MEASURES = {
  prefill_tps: ({ run, round, amounts }) => measurePrefill(run, { round, tokens: amounts.promptTokens }),
  prefill_1024_tps: ({ run, round, amounts }) =>
    run.long ? measurePrefill(run, { round, tokens: amounts.longPromptTokens }) : undefined,
  decode_tps: ({ run, round, amounts }) => measureDecode(run, { round, tokens: amounts.newTokens }),
};

/** Loads the engine of each run in its host; a run that fails gets `failed`, its reason. */
export async function loadRuns(runs, { open, note }) {
  for (const run of runs) {
    await attempt(run, { note, what: 'load' }, async () => {
      run.rounds = {};
      run.host = await open(run);
      run.info = await run.host.call('load', run.options, { ms: LOAD_LIMIT_MS });
      run.loaded?.();
      note(`${run.id}: loaded in ${(run.info.loadMs / 1000).toFixed(1)} s`);
    });
  }
}

/**
 * Runs a warm-up round that is not kept, and then the others. Gives, for each turn, the share of the
 * cores that something else was using just before it.
 */
export async function playRounds(runs, { amounts, note }) {
  for (const run of runs) {
    await attempt(run, { note, what: 'warm-up' }, async () => {
      await measurePrefill(run, { round: 0, tokens: amounts.warmUp.promptTokens });
      await run.host.call('decode', { round: 0, tokens: amounts.warmUp.newTokens }, { ms: CALL_LIMIT_MS });
    });
  }
  const busy = [];
  for (let round = 1; round <= amounts.rounds; round += 1) {
    // Each round begins with another engine, so that none always follows the same one.
    for (const run of [...runs.slice(round % runs.length), ...runs.slice(0, round % runs.length)]) {
      if (run.failed) continue;
      await sleep(REST_MS);
      busy.push(await busyShare(LOOK_MS));
      await attempt(run, { note, what: `round ${round}` }, async () => {
        const figures = {};
        for (const [name, measure] of Object.entries(MEASURES)) {
          const measured = await measure({ run, round, amounts });
          if (measured) figures[name] = measured;
        }
        for (const [name, { tokens, ms }] of Object.entries(figures)) {
          (run.rounds[name] ??= []).push((tokens / ms) * 1000);
        }
        run.promptTokens = figures.prefill_tps.tokens;
        const told = Object.entries(run.rounds).map(([name, values]) => `${name} ${values.at(-1).toFixed(1)}`);
        note(`round ${round} of ${amounts.rounds}, ${run.id}: ${told.join(', ')}`);
      });
    }
  }
  return busy;
}

/** Does `work` unless the run has failed before; its failure becomes the run's. */
export async function attempt(run, { note, what }, work) {
  if (run.failed) return;
  try {
    await work();
  } catch (error) {
    run.failed = `${what}: ${error.message.split('\n')[0]}`;
    note(`${run.id} FAILED: ${error.message}`);
    await run.host?.close();
  }
}

async function measurePrefill(run, options) {
  const measured = await run.host.call('prefill', options, { ms: CALL_LIMIT_MS });
  if (measured.tokens < options.tokens * 0.8)
    throw new Error(`only ${measured.tokens} of ${options.tokens} prompt tokens were computed`);
  return measured;
}

async function measureDecode(run, options) {
  const measured = await run.host.call('decode', options, { ms: CALL_LIMIT_MS });
  if (measured.tokens < LEAST_NEW_TOKENS)
    throw new Error(`only ${measured.tokens} of ${options.tokens} tokens were generated`);
  return measured;
}
