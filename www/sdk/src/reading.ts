/** Reads model files: fetched where they are not kept, fetched anew where what was kept is damaged. */
import type { ByteSource } from './engine_module.js';
import type { ModelFile } from './protocol.js';
import { forgetModel, isIntact, openModel, type OpenedModel, type OpenOptions } from './files/store.js';

/** A model that was read, and where from. */
export interface Read<T> {
  readonly value: T;
  readonly source: OpenedModel;
  /** When its file was there, on the worker's clock. */
  readonly fetchedAt: number;
}

/** Reads a model's file; one that was kept and is damaged is fetched again. */
export async function fetchAndRead<T>(model: ModelFile, options: OpenOptions, read: (source: ByteSource) => T | Promise<T>): Promise<Read<T>> {
  const readOnce = async (source: OpenedModel): Promise<Read<T>> => {
    const fetchedAt = performance.now();
    try {
      return { value: await read(source), source, fetchedAt };
    } finally {
      source.close();
    }
  };
  const source = await openModel(model, options);
  options.signal.throwIfAborted();
  try {
    return await readOnce(source);
  } catch (error) {
    // Not even a hash can be had from an instance that trapped.
    if (error instanceof WebAssembly.RuntimeError) throw error;
    if (!(await dropIfDamaged(source, model, options))) throw error;
    return await readOnce(await openModel(model, options));
  }
}

/** True where a file that was kept earlier has been damaged since and was now removed. */
async function dropIfDamaged(source: OpenedModel, model: ModelFile, options: OpenOptions): Promise<boolean> {
  if (!source.cached) return false;
  options.onProgress({ phase: 'verify', loaded: 0, total: source.size });
  const kept = await openModel(model, options);
  try {
    if (isIntact(kept, model, options.createHash())) return false;
  } finally {
    kept.close();
  }
  await forgetModel(model);
  return true;
}
