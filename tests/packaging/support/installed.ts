/** The packed package as it is installed for these tests, and how programs are run beside it. */
import { execFile, spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const COMMAND_MS = 120_000;
const START_MS = 30_000;

/** Where `./build.sh test packaging` installs it. */
export const installed = fileURLToPath(new URL('../../../target/packaging/', import.meta.url));
export const packageFolder = join(installed, 'node_modules/frontdesk');

export function consumerFolder(name: string): string {
  return join(installed, 'consumers', name);
}

/** What a program prints; rejects with that where it fails or takes too long. */
export async function run(folder: string, command: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const path = `${join(installed, 'node_modules/.bin')}:${process.env.PATH ?? ''}`;
  const env = { ...process.env, PATH: path, NEXT_TELEMETRY_DISABLED: '1' };
  try {
    return await promisify(execFile)(command, args, { cwd: folder, env, timeout: COMMAND_MS });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** Runs a consumer's own build script, as its reader would. */
export async function build(consumer: string, script = 'build', args: readonly string[] = []): Promise<void> {
  await run(consumerFolder(consumer), 'npm', ['run', script, '--', ...args]);
}

export interface Running {
  readonly port: number;
  stop(): void;
}

/** Starts a server that takes `--port`, and waits until it answers. */
export async function startServer(consumer: string, command: string, args: readonly string[]): Promise<Running> {
  const port = await freePort();
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' };
  const server = spawn(process.execPath, [join(installed, 'node_modules', command), ...args, '--port', String(port)], { cwd: consumerFolder(consumer), env, stdio: ['ignore', 'ignore', 'inherit'] });
  const stop = () => {
    server.kill();
  };
  for (const end = Date.now() + START_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(START_MS) }).catch(() => undefined);
    if (answer?.ok) return { port, stop };
    if (server.exitCode !== null) break;
  }
  stop();
  throw new Error(`${command} did not start`);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
