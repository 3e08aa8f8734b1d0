/** Tells, without downloading anything, whether a model can run here and is already on the device. */
import { findAdapter } from './adapter.js';
import { checkOptions } from './checks.js';
import { findModelFile, openModelFolder } from './files/model_folder.js';
import { type ModelChoice, resolveModel } from './models.js';
import type { AdapterInfo, Backend, ModelFile, ModuleVariant } from './protocol.js';
import { detectVariant } from './variant.js';
import { fasterBackend, readVerdict, whySlower } from './verdicts.js';

export interface AvailabilityOptions {
  readonly model?: ModelChoice;
  readonly modelBaseUrl?: string;
}

export interface Availability {
  /** `available`: on the device; `downloadable`: `create()` will fetch it; `unavailable`: see `reasons`. */
  readonly status: 'available' | 'downloadable' | 'unavailable';
  /** The WebAssembly module that would run; absent where none does. */
  readonly variant?: ModuleVariant;
  readonly crossOriginIsolated: boolean;
  /** Threads that would be used. */
  readonly threads: number;
  /** For people: what is missing, or what will not be as good as it could be. */
  readonly reasons: readonly string[];
  readonly gpu: GpuAvailability;
}

/** What is known of the GPU without opening it. */
export interface GpuAvailability {
  readonly hasWebgpu: boolean;
  /** The adapter that would be used; `driver` is empty, browsers do not tell it. */
  readonly adapter?: AdapterInfo;
  /** Where `backend: 'auto'` would compute with this model; `undecided` where loading it will compare both. */
  readonly auto: Backend | 'undecided';
  /** For people: why not on the GPU. */
  readonly reason?: string;
}

/** Rejects with `InvalidInputError` for a model that does not exist. */
export async function availability(options: AvailabilityOptions = {}): Promise<Availability> {
  const { model: choice, modelBaseUrl } = checkOptions(options);
  const model = resolveModel(choice, modelBaseUrl);
  const engine = await detectVariant();
  const obstacles = [
    ...(typeof Worker === 'undefined' ? ['this browser has no workers'] : []),
    ...(engine === undefined ? ['this browser has no WebAssembly SIMD'] : []),
  ];
  const { cached, reasons } = obstacles.length > 0 ? { cached: false, reasons: obstacles } : await lookAtStorage(model);
  const status = obstacles.length > 0 ? 'unavailable' : cached ? 'available' : 'downloadable';
  const { variant, threads = 1 } = engine ?? {};
  const gpu = await lookAtGpu(model, engine);
  return { status, ...(variant && { variant }), crossOriginIsolated: globalThis.crossOriginIsolated, threads, reasons, gpu };
}

async function lookAtGpu({ sha256 }: ModelFile, engine: { variant: ModuleVariant; threads: number } | undefined): Promise<GpuAvailability> {
  const { hasWebgpu, adapter, signature, refusal } = await findAdapter();
  const known = { hasWebgpu, ...(adapter && { adapter }) };
  if (refusal !== undefined) return { ...known, auto: 'wasm', reason: refusal };
  const verdict = engine && (await readVerdict({ model: sha256, adapter: signature, sdk: FRONTDESK_VERSION, ...engine }));
  if (!verdict) return { ...known, auto: 'undecided' };
  const auto = fasterBackend(verdict);
  return { ...known, auto, ...(auto === 'wasm' && { reason: whySlower(verdict) }) };
}

async function lookAtStorage(model: ModelFile): Promise<{ cached: boolean; reasons: string[] }> {
  try {
    if (await findModelFile(await openModelFolder(), model)) return { cached: true, reasons: [] };
    const { quota, usage } = await navigator.storage.estimate();
    const fits = model.bytes === undefined || quota === undefined || usage === undefined || model.bytes <= quota - usage;
    return { cached: false, reasons: fits ? [] : ['the device has no room for the model'] };
  } catch (error) {
    return { cached: false, reasons: [`the model cannot be kept on this device and is fetched each time: ${String(error)}`] };
  }
}
