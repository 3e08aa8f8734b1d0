/** Where the language model is: on the CPU or on a GPU, which of them is faster, and how it comes elsewhere when the GPU is lost. */
import { findAdapter } from './adapter.js';
import type { ByteSource, Model, StartedEngine } from './engine_module.js';
import { UnsupportedBrowserError } from './errors.js';
import { isTrap, type OnCrash } from './job_queue.js';
import type { AdapterInfo, Backend, EngineWishes, LoadRequest, ModelFile } from './protocol.js';
import { fetchAndRead, type Read } from './reading.js';
import { timeModel } from './speed.js';
import type { OpenOptions } from './files/store.js';
import { answerMs, fasterBackend, keepVerdict, readVerdict, type VerdictKey, whySlower } from './verdicts.js';

/** A model that is loaded. */
export interface Placed<Loaded> {
  readonly model: Loaded;
  readonly backend: Backend;
  readonly adapter?: AdapterInfo;
  /** With `auto`: why it is not on a GPU. */
  readonly backendReason?: string;
}

export type PlacedModel = Placed<Model>;

/** How a model is loaded. */
export interface Placing {
  readonly engine: StartedEngine;
  readonly request: LoadRequest;
  readonly file: ModelFile;
  readonly options: OpenOptions;
  readonly tell: (loaded: number, total: number) => void;
  readonly onCrash: OnCrash;
}

/** A GPU that takes several times as long as the CPU is not watched to the end. */
const GIVE_UP_FACTOR = 4;

/** Loads the model where the request wants it. */
export async function placeModel(placing: Placing): Promise<Read<PlacedModel>> {
  const { request: { engine: { backend = 'wasm' } }, file, options } = placing;
  const place = { wasm: onCpu, webgpu: onGpu, auto: onFaster }[backend];
  return fetchAndRead(file, options, (source) => place(placing, source));
}

/** Loads the model again after its GPU was lost: on the wanted backend, or else on the CPU. */
export async function placeAgain(placing: Placing, wanted: Backend): Promise<PlacedModel> {
  const { file, options } = placing;
  const place = wanted === 'wasm' ? onCpu : onGpuOrCpu;
  return (await fetchAndRead(file, options, (source) => place(placing, source))).value;
}

/** Throws where a GPU is demanded of a browser that has none to give. */
export function checkWebgpu({ backend }: EngineWishes): void {
  if (backend === 'webgpu' && !('gpu' in navigator)) throw new UnsupportedBrowserError('this browser has no WebGPU');
}

/** A model that was loaded to a GPU, and to which. */
export async function placedOnGpu<Loaded extends { adapter(): AdapterInfo | undefined }>(model: Loaded): Promise<Placed<Loaded>> {
  const adapter = model.adapter();
  // The engine knows the description alone, which some browsers keep to themselves.
  const name = adapter?.name === '' ? (await findAdapter()).adapter?.name : adapter?.name;
  return { model, backend: 'webgpu', ...(adapter && { adapter: { ...adapter, name: name ?? '' } }) };
}

/** What comes to a GPU, or where that fails stays on the CPU and says why. */
export async function gpuOrCpu<Loaded>(toGpu: () => Promise<Placed<Loaded>>, toCpu: () => Placed<Loaded>, signal: AbortSignal): Promise<Placed<Loaded>> {
  try {
    return await toGpu();
  } catch (error) {
    signal.throwIfAborted();
    // An engine that trapped must not be entered again.
    if (isTrap(error)) throw error;
    return { ...toCpu(), backendReason: messageOf(error) };
  }
}

function onCpu({ engine, request, tell }: Placing, source: ByteSource): PlacedModel {
  return { model: engine.module.Model.load(source, request.contextTokens, tell), backend: 'wasm' };
}

async function onGpu({ engine, request, tell }: Placing, source: ByteSource): Promise<PlacedModel> {
  return placedOnGpu(await engine.module.Model.loadOnGpu(source, request.contextTokens, request.engine.backend === 'webgpu', tell));
}

function onGpuOrCpu(placing: Placing, source: ByteSource): Promise<PlacedModel> {
  return gpuOrCpu(() => onGpu(placing, source), () => onCpu(placing, source), placing.options.signal);
}

/** Loads the model where a short answer takes less time, by what was found before or else by trying. */
async function onFaster(placing: Placing, source: ByteSource): Promise<PlacedModel> {
  const { refusal, signature } = await findAdapter();
  if (refusal !== undefined) return { ...onCpu(placing, source), backendReason: refusal };
  const { file, engine: { variant, threads }, options: { signal } } = placing;
  const key = { model: file.sha256, adapter: signature, sdk: FRONTDESK_VERSION, variant, threads };
  const verdict = await readVerdict(key);
  signal.throwIfAborted();
  if (!verdict) return onBoth(placing, source, key);
  if (fasterBackend(verdict) === 'wasm') return { ...onCpu(placing, source), backendReason: whySlower(verdict) };
  return onGpuOrCpu(placing, source);
}

/** Loads the model on the CPU and on the GPU, times both, keeps the faster one and what was found. */
async function onBoth(placing: Placing, source: ByteSource, key: VerdictKey): Promise<PlacedModel> {
  const { tell, onCrash, options: { signal } } = placing;
  const cpu = onCpu({ ...placing, tell: (loaded, total) => { tell(loaded, 2 * total); } }, source);
  let gpu: PlacedModel | undefined;
  let chosen: PlacedModel | undefined;
  let isBroken = false;
  try {
    const wasm = await timeModel(cpu.model, { signal, onCrash });
    gpu = await onGpu({ ...placing, tell: (loaded, total) => { tell(total + loaded, 2 * total); } }, source);
    signal.throwIfAborted();
    const verdict = { wasm, webgpu: await timeModel(gpu.model, { signal, onCrash, enoughMs: GIVE_UP_FACTOR * answerMs(wasm) }) };
    await keepVerdict(key, verdict);
    signal.throwIfAborted();
    return (chosen = fasterBackend(verdict) === 'webgpu' ? gpu : { ...cpu, backendReason: whySlower(verdict) });
  } catch (error) {
    isBroken = isTrap(error);
    signal.throwIfAborted();
    if (isBroken) throw error;
    return (chosen = { ...cpu, backendReason: messageOf(error) });
  } finally {
    for (const { model } of gpu ? [cpu, gpu] : [cpu]) if (!isBroken && model !== chosen?.model) model.free();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
