// The machine and the versions that a run was measured with.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const INSTRUCTIONS = ['avx2', 'avx512f', 'avx_vnni', 'avx512_vnni', 'amx_int8', 'asimddp', 'i8mm'];

/** Processor, memory and systems, and how busy the machine was beforehand. */
export function describeMachine({ chromium }) {
  const information = processorInformation();
  return {
    cpu: [
      os.cpus()[0]?.model ?? 'unknown',
      information.family && `family ${information.family} model ${information.model}`,
    ]
      .filter(Boolean)
      .join(', '),
    instructions: INSTRUCTIONS.filter((name) => information.flags.includes(name)),
    cores: os.availableParallelism(),
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    chromium: execFileSync(chromium, ['--version'], { timeout: 30_000, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim(),
    load_average_before: Number(os.loadavg()[0].toFixed(2)),
  };
}

/** The share (0 to 1) of all cores that was at work during `ms` milliseconds: nothing of ours should be. */
export async function busyShare(ms) {
  const before = processorTimes();
  await sleep(ms);
  const after = processorTimes();
  const all = after.all - before.all;
  return all > 0 ? 1 - (after.idle - before.idle) / all : 0;
}

function processorTimes() {
  const times = os
    .cpus()
    .map(({ times: { user, nice, sys, irq, idle } }) => ({ idle, all: user + nice + sys + irq + idle }));
  return { idle: times.reduce((sum, { idle }) => sum + idle, 0), all: times.reduce((sum, { all }) => sum + all, 0) };
}

/** The version of an installed npm package; undefined where it is not installed. */
export function packageVersion(folder) {
  try {
    return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).version;
  } catch {
    return undefined;
  }
}

/** The commit that is checked out, with a plus where files differ from it; null outside a repository. */
export function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { timeout: 30_000, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--untracked-files=no') ? '+' : '');
  } catch {
    return null;
  }
}

function processorInformation() {
  let text = '';
  try {
    text = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    // Not Linux: the model's name has to do.
  }
  const field = (name) => text.match(new RegExp(`^${name}\\s*: (.*)$`, 'm'))?.[1];
  return {
    family: field('cpu family'),
    model: field('model'),
    flags: (field('flags') ?? field('Features') ?? '').split(' '),
  };
}
