/** The generated glue of each variant and where its module lies. */
import type * as threadsGlue from '../wasm/relaxed-threads/frontdesk.js';
import type * as plainGlue from '../wasm/relaxed/frontdesk.js';
import type { EngineModule } from './engine_module.js';
import type { ModuleVariant } from './protocol.js';

/**
 * All addresses are spelled out, so that bundlers see the files and copy them. The glue is one of these too: imported
 * by its name it would be a chunk of a worker, which not all of them can make (Vite 7 cannot without being told).
 */
const files: Readonly<Record<ModuleVariant, { readonly glue: () => URL; readonly wasm: () => URL }>> = {
  simd: {
    glue: () => new URL('./wasm/simd/frontdesk.js', import.meta.url),
    wasm: () => new URL('./wasm/simd/frontdesk_bg.wasm', import.meta.url),
  },
  relaxed: {
    glue: () => new URL('./wasm/relaxed/frontdesk.js', import.meta.url),
    wasm: () => new URL('./wasm/relaxed/frontdesk_bg.wasm', import.meta.url),
  },
  'simd-threads': {
    glue: () => new URL('./wasm/simd-threads/frontdesk.js', import.meta.url),
    wasm: () => new URL('./wasm/simd-threads/frontdesk_bg.wasm', import.meta.url),
  },
  'relaxed-threads': {
    glue: () => new URL('./wasm/relaxed-threads/frontdesk.js', import.meta.url),
    wasm: () => new URL('./wasm/relaxed-threads/frontdesk_bg.wasm', import.meta.url),
  },
};

export async function importGlue(variant: ModuleVariant): Promise<EngineModule> {
  const { href } = files[variant].glue();
  return (await import(/* webpackIgnore: true */ /* @vite-ignore */ href)) as typeof plainGlue | typeof threadsGlue;
}

/** `wasmUrl` is a folder of variants or one `.wasm` file; default: beside this file. */
export function moduleAddress(variant: ModuleVariant, wasmUrl?: string): URL {
  if (wasmUrl === undefined) return files[variant].wasm();
  const url = new URL(wasmUrl);
  if (url.pathname.endsWith('.wasm')) return url;
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${variant}/frontdesk_bg.wasm`;
  return url;
}
