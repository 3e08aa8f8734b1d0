/** The models on this device: what there is, how much room it takes, and how more comes and goes. */
import { checkOptions } from './checks.js';
import { EngineClient } from './client.js';
import { InvalidInputError, UnsupportedBrowserError } from './errors.js';
import { listKept, removeKept, type StoredModel } from './files/kept_models.js';
import { missing } from './missing.js';
import { openModelFolder } from './files/model_folder.js';
import { absolute, type ModelChoice, resolveModel } from './models.js';
import { askPersistence } from './persistence.js';
import type { LoadProgress } from './protocol.js';

/** What long calls of the store take. */
export interface StoreOptions {
  /** The call rejects with `signal.reason`, at once; what was fetched by then stays for the next attempt. */
  readonly signal?: AbortSignal;
  /** Is told of bytes done and in all. */
  readonly onProgress?: (progress: { readonly loaded: number; readonly total: number }) => void;
  /** As in `CreateOptions`. */
  readonly wasmUrl?: string;
  /** As in `CreateOptions`. */
  readonly workerUrl?: string;
}

/** Options of `store.prepare`. */
export interface KeepOptions extends StoreOptions {
  /** As in `CreateOptions`. */
  readonly modelBaseUrl?: string;
}

/** Options of `store.import`. */
export interface ImportOptions extends StoreOptions {
  /** What the file must be; any GGUF file by default. */
  readonly model?: ModelChoice;
}

/** Room in bytes, on the whole origin. */
export interface StorageUsage {
  /** Of the models and their parts. */
  readonly modelBytes: number;
  /** Of everything that this origin keeps, as the browser estimates it. */
  readonly usedBytes: number;
  /** What the browser grants this origin. */
  readonly quotaBytes: number;
  /** Whether the browser promised not to clear it when room gets scarce. */
  readonly isPersistent: boolean;
}

/** Models on this device; all calls reject with a `FrontdeskError`, and with `unsupported_browser` where nothing can be kept. */
export interface ModelStore {
  /** Whole models and unfinished downloads, the least recently used first. */
  list(): Promise<StoredModel[]>;
  /** Removes a model, whole or not; false where it was not there. */
  remove(model: ModelChoice): Promise<boolean>;
  /** How much room there is, and how much of it is taken. */
  usage(): Promise<StorageUsage>;
  /** Fetches a model ahead of time, without loading it; one that does not fit is `storage_full`. */
  prepare(model?: ModelChoice, options?: KeepOptions): Promise<StoredModel>;
  /** Keeps a copy of a file that the user chose; afterwards `create({ model: { sha256 } })` loads it. */
  import(file: Blob, options?: ImportOptions): Promise<StoredModel>;
}

/** The models on this device. */
export const store: ModelStore = {
  list: async () => listKept(await openFolder()),
  remove: async (model) => removeKept(await openFolder(), resolveModel(model).sha256),
  usage: async () => {
    const models = await listKept(await openFolder());
    const { usage: usedBytes = 0, quota: quotaBytes = 0 } = await navigator.storage.estimate();
    return { modelBytes: models.reduce((sum, { bytes }) => sum + bytes, 0), usedBytes, quotaBytes, isPersistent: await navigator.storage.persisted() };
  },
  prepare: async (choice, given = {}) => {
    const { modelBaseUrl, wasmUrl, ...options } = checkOptions(given);
    const model = resolveModel(choice, modelBaseUrl);
    await askPersistence();
    await work(options, (client, call) => client.call('keepModel', { model, ...addressOf(wasmUrl) }, call));
    return stored(model.sha256);
  },
  import: async (file, given = {}) => {
    const { model, wasmUrl, ...options } = checkOptions(given);
    if (!(file instanceof Blob)) throw new InvalidInputError('what is imported must be a File or a Blob');
    const wanted = model === undefined ? undefined : resolveModel(model);
    const id = wanted?.id ?? (file instanceof File ? file.name : 'model');
    const request = { file, id, ...(wanted && { sha256: wanted.sha256 }), ...addressOf(wasmUrl) };
    await askPersistence();
    const { sha256 } = await work(options, (client, call) => client.call('importModel', request, call));
    return stored(sha256);
  },
};

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  try {
    return await openModelFolder();
  } catch (error) {
    throw new UnsupportedBrowserError(`this browser keeps no models: ${String(error)}`, { cause: error });
  }
}

async function stored(sha256: string): Promise<StoredModel> {
  return (await listKept(await openFolder())).find((model) => model.sha256 === sha256 && model.isComplete) ?? missing();
}

/** Calls a worker of its own, which ends afterwards. */
async function work<T>(
  { signal, onProgress, workerUrl }: StoreOptions,
  run: (client: EngineClient, call: { signal: AbortSignal | undefined; onEvent: (progress: LoadProgress) => void }) => Promise<T>,
): Promise<T> {
  if (typeof Worker === 'undefined') throw new UnsupportedBrowserError('models are kept in a browser, and here is no Worker');
  const client = new EngineClient(workerUrl === undefined ? {} : { workerUrl: absolute(workerUrl) });
  try {
    return await run(client, { signal, onEvent: ({ loaded, total }) => onProgress?.({ loaded, total }) });
  } finally {
    // The caller is told at once; the worker may need a moment to let go of its files.
    void client.close();
  }
}

function addressOf(wasmUrl: string | undefined): { readonly wasmUrl?: string } {
  return wasmUrl === undefined ? {} : { wasmUrl: absolute(wasmUrl) };
}
