/** Chooses and starts the WebAssembly module; its interface as the worker uses it. */
import { ModuleLoadError, UnsupportedBrowserError } from './errors.js';
import type { ChatDelta, ChatRequest, ClassifyRequest, LocalClassification, LocalCompletion, ModuleVariant, PrefillProgress } from './protocol.js';
import { detectVariant } from './variant.js';

/** Incremental SHA-256. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Lower-case hex; the object is spent. */
  finish(): string;
  free(): void;
}

/** Random access to the model file; `read` fills `into` wholly or throws. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, into: Uint8Array<ArrayBuffer>): void;
}

/** What one step of a job tells. */
export type Step<Result> = PrefillProgress | ChatDelta | { readonly type: 'idle' } | { readonly type: 'done'; readonly result: Result };

/** A request in progress; may be freed between steps, finished or not. */
export interface Job<Result> {
  step(): Promise<Step<Result>>;
  free(): void;
}

export interface Model {
  describe(): { readonly architecture: string; readonly parameters: number; readonly contextTokens: number; readonly memoryBytes: number };
  classify(request: ClassifyRequest): Job<LocalClassification>;
  chat(request: ChatRequest): Job<LocalCompletion>;
  free(): void;
}

/** The generated glue. */
export interface EngineModule {
  default(options: { module_or_path: URL }): Promise<unknown>;
  /** Whether this browser computes the module's dot products right. */
  isExact(): boolean;
  readonly Sha256: new () => Sha256;
  readonly Model: {
    load(source: ByteSource, contextTokens: number, onProgress: (loaded: number, total: number) => void): Model;
  };
}

/**
 * Starts the best module this browser runs. `wasmUrl` is a folder of variants or one `.wasm` file.
 *
 * A browser may know relaxed SIMD and still compile it wrongly: the module then says so itself, and
 * the plain one is taken instead.
 */
export async function startEngineModule(wasmUrl?: string): Promise<{ module: EngineModule; variant: ModuleVariant }> {
  const variant = await detectVariant();
  if (!variant) throw new UnsupportedBrowserError('this browser has no WebAssembly SIMD');
  const module = await startVariant(variant, wasmUrl);
  if (module.isExact()) return { module, variant };
  if (variant === 'simd') throw new UnsupportedBrowserError('this browser computes WebAssembly SIMD wrongly');
  return { module: await startVariant('simd', wasmUrl), variant: 'simd' };
}

async function startVariant(variant: ModuleVariant, wasmUrl?: string): Promise<EngineModule> {
  try {
    const module = await importGlue(variant);
    await module.default({ module_or_path: wasmUrl === undefined ? bundledWasm(variant) : givenWasm(wasmUrl, variant) });
    return module;
  } catch (error) {
    throw new ModuleLoadError(`the engine's files could not be loaded: ${String(error)}`, { cause: error });
  }
}

// Both addresses of each variant are spelled out, so that bundlers see the files.
async function importGlue(variant: ModuleVariant): Promise<EngineModule> {
  return variant === 'relaxed' ? await import('../wasm/relaxed/frontdesk.js') : await import('../wasm/simd/frontdesk.js');
}

function bundledWasm(variant: ModuleVariant): URL {
  return variant === 'relaxed'
    ? new URL('./wasm/relaxed/frontdesk_bg.wasm', import.meta.url)
    : new URL('./wasm/simd/frontdesk_bg.wasm', import.meta.url);
}

function givenWasm(wasmUrl: string, variant: ModuleVariant): URL {
  const url = new URL(wasmUrl);
  if (url.pathname.endsWith('.wasm')) return url;
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${variant}/frontdesk_bg.wasm`;
  return url;
}
