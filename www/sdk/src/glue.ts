/** The generated glue of each variant and where its module lies. */
import type { EngineModule } from './engine_module.js';
import type { ModuleVariant } from './protocol.js';

// All addresses are spelled out, so that bundlers see the files.
const glue: Readonly<Record<ModuleVariant, { load: () => Promise<EngineModule>; wasm: () => URL }>> = {
  simd: {
    load: () => import('../wasm/simd/frontdesk.js'),
    wasm: () => new URL('./wasm/simd/frontdesk_bg.wasm', import.meta.url),
  },
  relaxed: {
    load: () => import('../wasm/relaxed/frontdesk.js'),
    wasm: () => new URL('./wasm/relaxed/frontdesk_bg.wasm', import.meta.url),
  },
  'simd-threads': {
    load: () => import('../wasm/simd-threads/frontdesk.js'),
    wasm: () => new URL('./wasm/simd-threads/frontdesk_bg.wasm', import.meta.url),
  },
  'relaxed-threads': {
    load: () => import('../wasm/relaxed-threads/frontdesk.js'),
    wasm: () => new URL('./wasm/relaxed-threads/frontdesk_bg.wasm', import.meta.url),
  },
};

export function importGlue(variant: ModuleVariant): Promise<EngineModule> {
  return glue[variant].load();
}

/** `wasmUrl` is a folder of variants or one `.wasm` file; default: beside this file. */
export function moduleAddress(variant: ModuleVariant, wasmUrl?: string): URL {
  if (wasmUrl === undefined) return glue[variant].wasm();
  const url = new URL(wasmUrl);
  if (url.pathname.endsWith('.wasm')) return url;
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${variant}/frontdesk_bg.wasm`;
  return url;
}
