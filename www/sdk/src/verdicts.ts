/** Which backend was the faster one, kept on the device beside the models; the page reads it, the worker writes it. */
import { openModelFolder, PARTIAL_ENDING } from './files/model_folder.js';
import type { Backend, ModuleVariant } from './protocol.js';

/** How fast a short answer was. */
export interface Speed {
  /** Milliseconds until its first token. */
  readonly promptMs: number;
  /** Mean milliseconds of each further one. */
  readonly tokenMs: number;
}

/** What the speeds depend on. */
export interface VerdictKey {
  /** SHA-256 of the model's file. */
  readonly model: string;
  /** All that the GPU's adapter says of itself. */
  readonly adapter: string;
  /** Version of this package. */
  readonly sdk: string;
  readonly variant: ModuleVariant;
  readonly threads: number;
}

/** The speeds on both. */
export interface Verdict {
  readonly wasm: Speed;
  readonly webgpu: Speed;
}

type Entry = VerdictKey & Verdict;

const FILE = 'verdicts.json';
const MOST_ENTRIES = 32;
/** Tokens of the answer whose time decides. */
const ANSWER_TOKENS = 32;

/** Milliseconds that an answer of 32 tokens takes. */
export function answerMs({ promptMs, tokenMs }: Speed): number {
  return promptMs + (ANSWER_TOKENS - 1) * tokenMs;
}

/** The backend with the shorter answer; the CPU where both are the same. */
export function fasterBackend({ wasm, webgpu }: Verdict): Backend {
  return answerMs(webgpu) < answerMs(wasm) ? 'webgpu' : 'wasm';
}

/** Why the CPU was taken, for people. */
export function whySlower({ wasm, webgpu }: Verdict): string {
  const rate = ({ tokenMs }: Speed) => rounded(1000 / tokenMs);
  const first = ({ promptMs }: Speed) => rounded(promptMs / 1000);
  return `the GPU is slower here: ${rate(webgpu)} tokens/s, the CPU ${rate(wasm)}; to the first token ${first(webgpu)} s, the CPU ${first(wasm)}`;
}

/** What was found before; nothing where nothing was, or where it cannot be read. */
export async function readVerdict(key: VerdictKey): Promise<Verdict | undefined> {
  return (await readEntries()).find((entry) => isSame(entry, key));
}

/** Keeps what was found, in the place of what was found before (worker only). Where it cannot be kept, it is found anew next time. */
export async function keepVerdict(key: VerdictKey, { wasm, webgpu }: Verdict): Promise<void> {
  const others = (await readEntries()).filter((entry) => !isSame(entry, key));
  const entries: readonly Entry[] = [{ ...key, wasm, webgpu }, ...others].slice(0, MOST_ENTRIES);
  await write(new TextEncoder().encode(JSON.stringify(entries))).catch(() => undefined);
}

/** The entries of a file; those that are broken are left out. */
export function parseVerdicts(text: string): Entry[] {
  try {
    const entries: unknown = JSON.parse(text);
    return Array.isArray(entries) ? entries.filter(isEntry) : [];
  } catch {
    return [];
  }
}

async function readEntries(): Promise<Entry[]> {
  try {
    const file = await (await openModelFolder()).getFileHandle(FILE);
    return parseVerdicts(await (await file.getFile()).text());
  } catch {
    return [];
  }
}

/** Whole or not at all: the file gets its name when it has been written. */
async function write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const folder = await openModelFolder();
  const file = await folder.getFileHandle(`${FILE}.${crypto.randomUUID()}${PARTIAL_ENDING}`, { create: true });
  try {
    const handle = await file.createSyncAccessHandle?.();
    if (!handle || !file.move) throw new Error('this browser cannot write files from a worker');
    try {
      if (handle.write(bytes, { at: 0 }) !== bytes.byteLength) throw new Error('the device has no room');
      handle.flush();
    } finally {
      handle.close();
    }
    await file.move(FILE);
  } catch (error) {
    await folder.removeEntry(file.name).catch(() => undefined);
    throw error;
  }
}

function isSame(entry: VerdictKey, key: VerdictKey): boolean {
  return entry.model === key.model && entry.adapter === key.adapter && entry.sdk === key.sdk && entry.variant === key.variant && entry.threads === key.threads;
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== 'object' || value === null) return false;
  const { model, adapter, sdk, variant, threads, wasm, webgpu } = value as Partial<Record<keyof Entry, unknown>>;
  return [model, adapter, sdk, variant].every((part) => typeof part === 'string') && typeof threads === 'number' && isSpeed(wasm) && isSpeed(webgpu);
}

function isSpeed(value: unknown): value is Speed {
  if (typeof value !== 'object' || value === null) return false;
  const { promptMs, tokenMs } = value as Partial<Record<keyof Speed, unknown>>;
  return [promptMs, tokenMs].every((ms) => typeof ms === 'number' && Number.isFinite(ms) && ms > 0);
}

/** Two digits, or the whole number. */
function rounded(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}
