/** Errors as data: how they cross the worker border, and how they become classes again. */
import {
  BackendError,
  ContextOverflowError,
  DeviceLostError,
  DownloadFailedError,
  EngineCrashedError,
  type ErrorOptions,
  FrontdeskError,
  HashMismatchError,
  InternalError,
  InvalidInputError,
  InvalidModelError,
  InvalidTaskError,
  LengthMismatchError,
  ModelReadError,
  ModuleLoadError,
  OutOfMemoryError,
  StorageFullError,
  UnsupportedBrowserError,
  UnsupportedModelError,
  WorkerDiedError,
} from './errors.js';
import type { WireError } from './protocol.js';

const CLASSES_OF_WORKER_CODES: Readonly<Record<string, new (message: string, options?: ErrorOptions) => FrontdeskError>> = {
  invalid_input: InvalidInputError,
  unsupported_browser: UnsupportedBrowserError,
  download_failed: DownloadFailedError,
  length_mismatch: LengthMismatchError,
  hash_mismatch: HashMismatchError,
  storage_full: StorageFullError,
  invalid_model: InvalidModelError,
  invalid_task: InvalidTaskError,
  unsupported_model: UnsupportedModelError,
  context_overflow: ContextOverflowError,
  io: ModelReadError,
  out_of_memory: OutOfMemoryError,
  backend: BackendError,
  device_lost: DeviceLostError,
  engine_crashed: EngineCrashedError,
  worker_died: WorkerDiedError,
  module_load_failed: ModuleLoadError,
  internal: InternalError,
};

/** Rebuilds an error that crossed the worker border as data. */
export function fromWireError(wire: WireError): FrontdeskError {
  const options = wire.details === undefined ? {} : { details: wire.details };
  const ErrorClass = Object.hasOwn(CLASSES_OF_WORKER_CODES, wire.code) ? CLASSES_OF_WORKER_CODES[wire.code] : undefined;
  return ErrorClass ? new ErrorClass(wire.message, options) : new InternalError(`${wire.code}: ${wire.message}`, options);
}

/** Makes an error ready to cross the worker border; errors of the engine carry their own code. */
export function toWireError(error: unknown): WireError {
  if (FrontdeskError.isInstance(error)) {
    return { code: error.code, message: error.message, details: error.details };
  }
  if (error instanceof WebAssembly.RuntimeError) {
    return { code: 'engine_crashed', message: `the engine trapped: ${error.message}` };
  }
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
    return { code: error.name === 'EngineError' ? code : 'internal', message: error.message };
  }
  return { code: 'internal', message: String(error) };
}
