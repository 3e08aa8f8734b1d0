/** Which WebAssembly module this browser runs, and on how many threads. */
import { relaxedSimd, simd, threads as sharedMemory } from 'wasm-feature-detect';
import type { EngineWishes, ModuleVariant } from './protocol.js';

/** A model of the sizes meant here gains nothing from more: memory is the limit then. */
const MOST_THREADS = 8;
/** Up to so many cores all are taken; of more, half, for two of them often share one core's units. */
const FEW_CORES = 4;

/** The fastest variant this browser runs within the wishes; `undefined` where it runs none. */
export async function detectVariant({ threads, moduleVariant }: EngineWishes = {}): Promise<{ variant: ModuleVariant; threads: number } | undefined> {
  const wanted = threads ?? defaultThreads(navigator.hardwareConcurrency);
  if (moduleVariant !== undefined) return { variant: moduleVariant, threads: hasThreads(moduleVariant) ? Math.max(2, wanted) : 1 };
  if (!(await simd())) return undefined;
  const kind = (await relaxedSimd()) ? 'relaxed' : 'simd';
  const together = wanted > 1 && globalThis.crossOriginIsolated && (await sharedMemory());
  return together ? { variant: `${kind}-threads`, threads: wanted } : { variant: kind, threads: 1 };
}

export function hasThreads(variant: ModuleVariant): boolean {
  return variant.endsWith('-threads');
}

/** `cores` as `navigator.hardwareConcurrency` tells them; private modes may tell fewer. */
function defaultThreads(cores: number): number {
  return cores <= FEW_CORES ? cores : Math.min(MOST_THREADS, Math.max(FEW_CORES, Math.floor(cores / 2)));
}
