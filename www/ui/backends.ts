// Where the language model may compute, and where it does, in words.
import type { AdapterInfo, Backend, BackendChange, ModelInfo } from 'frontdesk';
import { sentenceOf, threadWords } from './format.js';

export type BackendChoice = Backend | 'auto';

export interface BackendWords {
  readonly choice: BackendChoice;
  readonly name: string;
}

export const BACKENDS: readonly BackendWords[] = [
  { choice: 'auto', name: 'Auto' },
  { choice: 'wasm', name: 'CPU' },
  { choice: 'webgpu', name: 'GPU' },
];

/** Where this is missing there is nothing to choose. */
export const HAS_WEBGPU = 'gpu' in navigator;

export function isBackendChoice(value: unknown): value is BackendChoice {
  return BACKENDS.some(({ choice }) => choice === value);
}

/** What was chosen, unless it cannot be had in this browser at all. */
export function possibleChoice(choice: BackendChoice): BackendChoice {
  return HAS_WEBGPU ? choice : 'auto';
}

/** Of a model that is loaded. */
export interface Place {
  readonly backend: Backend;
  /** "CPU" or "GPU". */
  readonly short: string;
  /** With threads and variant, or with the name of the adapter. */
  readonly long: string;
  /** What the adapter is called; only on a GPU. */
  readonly adapter?: string;
  /** Why it is not on the GPU, or no longer where it was. */
  readonly reason?: string;
}

export interface PlaceFacts {
  readonly info: ModelInfo | undefined;
  readonly choice: BackendChoice;
  /** Why a GPU that was asked for did not take it. */
  readonly refusal?: string;
  /** After a GPU was lost. */
  readonly moved?: BackendChange;
}

export function placeOf({ info, choice, refusal, moved }: PlaceFacts): Place {
  const backend = moved?.backend ?? info?.backend ?? 'wasm';
  const lost = moved && sentenceOf(moved.reason);
  if (backend === 'webgpu') {
    const adapter = adapterWords(info?.adapter);
    return { backend, short: backendName(backend), long: `GPU (webgpu), ${adapter}`, adapter, ...(lost !== undefined && { reason: lost }) };
  }
  const threads = threadWords(info?.threads ?? 1);
  const simd = info === undefined ? '' : `, ${info.variant.startsWith('relaxed') ? 'relaxed SIMD' : 'SIMD'}`;
  const why = refusal ?? (choice === 'wasm' ? 'the CPU was chosen' : info?.backendReason);
  const reason = lost ?? (why === undefined ? undefined : sentenceOf(why));
  return { backend, short: backendName(backend), long: `CPU, ${threads}${simd}`, ...(reason !== undefined && { reason }) };
}

export function backendName(backend: Backend): string {
  return backend === 'webgpu' ? 'GPU' : 'CPU';
}

function adapterWords(adapter: AdapterInfo | undefined): string {
  if (adapter === undefined || adapter.name === '') return 'the browser keeps its name to itself';
  return adapter.isSoftware ? `${adapter.name}, in software` : adapter.name;
}

/** Whether a model that is there computes where it is chosen to, so that nothing has to be loaded. */
export function isThere(choice: BackendChoice, { info, moved }: PlaceFacts): boolean {
  return choice === (moved?.backend ?? info?.backend);
}
