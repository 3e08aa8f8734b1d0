/** Where the language model is: on the CPU or on a GPU, and how it comes elsewhere when the GPU is lost. */
import type { DownloadOptions } from './download.js';
import type { EngineModule, Model } from './engine_module.js';
import { UnsupportedBrowserError } from './errors.js';
import type { AdapterInfo, Backend, LoadRequest } from './protocol.js';
import { fetchAndRead, type Read } from './reading.js';

/** A model that is loaded. */
export interface PlacedModel {
  readonly model: Model;
  readonly backend: Backend;
  readonly adapter?: AdapterInfo;
  /** With `auto`: why it is not on a GPU. */
  readonly backendReason?: string;
}

/** How a model is loaded. */
export interface Placing {
  readonly module: EngineModule;
  readonly request: LoadRequest;
  readonly options: DownloadOptions;
  readonly tell: (loaded: number, total: number) => void;
}

/** Loads the model where the request wants it. */
export async function placeModel(placing: Placing): Promise<Read<PlacedModel>> {
  const wish = placing.request.engine.backend ?? 'wasm';
  if (wish === 'wasm') return onCpu(placing);
  try {
    if (!('gpu' in navigator)) throw new UnsupportedBrowserError('this browser has no WebGPU');
    return await onGpu(placing);
  } catch (error) {
    placing.options.signal.throwIfAborted();
    if (wish === 'webgpu') throw error;
    return onCpu(placing, error instanceof Error ? error.message : String(error));
  }
}

/** Loads the model again after its GPU was lost: on the GPU, or else on the CPU. */
export async function placeAgain(placing: Placing): Promise<PlacedModel> {
  try {
    return (await onGpu(placing)).value;
  } catch {
    placing.options.signal.throwIfAborted();
    return (await onCpu(placing)).value;
  }
}

function onCpu({ module, request: { model, contextTokens }, options, tell }: Placing, backendReason?: string): Promise<Read<PlacedModel>> {
  return fetchAndRead(model, options, (source) => ({
    model: module.Model.load(source, contextTokens, tell),
    backend: 'wasm' as const,
    ...(backendReason !== undefined && { backendReason }),
  }));
}

function onGpu({ module, request: { model, contextTokens, engine }, options, tell }: Placing): Promise<Read<PlacedModel>> {
  return fetchAndRead(model, options, async (source) => {
    const placed = await module.Model.loadOnGpu(source, contextTokens, engine.backend === 'webgpu', tell);
    const adapter = placed.adapter();
    return { model: placed, backend: 'webgpu' as const, ...(adapter && { adapter }) };
  });
}
