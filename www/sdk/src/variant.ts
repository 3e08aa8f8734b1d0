/** Which WebAssembly module this browser runs. */
import { relaxedSimd, simd } from 'wasm-feature-detect';
import type { ModuleVariant } from './protocol.js';

/** The fastest variant this browser runs; `undefined` where it runs none. */
export async function detectVariant(): Promise<ModuleVariant | undefined> {
  if (await relaxedSimd()) return 'relaxed';
  return (await simd()) ? 'simd' : undefined;
}
