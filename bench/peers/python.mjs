// The Python side of the ONNX peers: an environment of pinned packages, and the model as an int4 graph.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = fileURLToPath(new URL('./', import.meta.url));
const REQUIREMENTS = path.join(here, 'requirements.txt');
const BUILDER = path.join(here, 'build_onnx.py');
export const ENGINE = path.join(here, 'ort_native.py');
const STEP_LIMIT_MS = 8 * 60_000;

/** The interpreter with the packages of requirements.txt, installed into `cache` once. */
export async function ensurePython({ cache }) {
  const folder = path.join(cache, 'tools', `bench-python-${hash([readFileSync(REQUIREMENTS)])}`);
  const python = path.join(folder, 'bin', 'python');
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return python;
  console.error('== Python packages of the ONNX peers');
  rmSync(folder, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', folder]);
  await run(python, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--only-binary=:all:',
    '--no-deps',
    '-r',
    REQUIREMENTS,
  ]);
  writeFileSync(complete, '');
  return python;
}

/** The ONNX file of a GGUF file, built once for each version of the builder and of the model. */
export async function ensureOnnx({ cache, python, model }) {
  const folder = path.join(cache, 'bench');
  const key = hash([readFileSync(BUILDER), readFileSync(REQUIREMENTS), model.sha256]);
  const file = path.join(folder, `${model.id}-${key}.onnx`);
  if (existsSync(file)) return file;
  console.error(`== ${model.id} as an ONNX graph`);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (name.startsWith(`${model.id}-`)) rmSync(path.join(folder, name));
  }
  const partial = `${file}.partial`;
  await run(python, [BUILDER, model.path, partial]);
  renameSync(partial, file);
  return file;
}

function hash(parts) {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(part);
  return sum.digest('hex').slice(0, 12);
}

async function run(command, args) {
  try {
    await promisify(execFile)(command, args, { timeout: STEP_LIMIT_MS, maxBuffer: 1 << 24 });
  } catch (error) {
    const why = error.killed
      ? `longer than ${STEP_LIMIT_MS / 1000} s`
      : (error.stderr || error.message).trim().split('\n').at(-1);
    throw new Error(`${path.basename(command)} ${args.slice(0, 3).join(' ')}: ${why}`, { cause: error });
  }
}
