// Native engines: each runs in a child process that reads calls and writes answers as JSON lines.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { withLimit } from './limit.mjs';

const MOST_LOG_CHARACTERS = 2000;

/**
 * Starts `command` with `args`.
 * @returns a host: `call(method, options, { ms })` runs a method of the engine there.
 */
export function startChild(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting = new Map();
  let log = '';
  let ended;
  let calls = 0;

  const end = (reason) => {
    ended ??= new Error(`${reason}${log && `: ${log.trim()}`}`);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  child.on('error', (error) => end(error.message));
  // "close" comes after the last of its output, "exit" may come before.
  child.on('close', (code, signal) => end(`the process ended with ${signal ?? code}`));
  child.stdin.on('error', (error) => end(error.message));
  child.stderr.on('data', (text) => {
    log = (log + text).slice(-MOST_LOG_CHARACTERS);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, result, error } = parse(line);
    const caller = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) caller?.resolve(result);
    else caller?.reject(new Error(error));
  });

  const call = (method, options, { ms }) => {
    const answer = new Promise((resolve, reject) => {
      if (ended) throw ended;
      calls += 1;
      waiting.set(calls, { resolve, reject });
      child.stdin.write(`${JSON.stringify({ id: calls, method, options })}\n`);
    });
    return withLimit(answer, { ms, what: method });
  };
  const close = async () => {
    child.kill('SIGKILL');
  };
  return { call, close };
}

/** Libraries may print to the same stream; what is no answer is passed over. */
function parse(line) {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}
