/** Every error of the package: one class per code, recognisable across bundles and realms. */
/** Extra facts of an error, e.g. `missingBytes` of `storage_full`; durations end in `Ms`. */
export type ErrorDetails = Readonly<Record<string, string | number>>;

/** What every error may carry beside its message. */
export interface ErrorOptions {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
}

/** Proof of one request that left the device. */
export interface Receipt {
  /** Absolute URL the request went to. */
  readonly url: string;
  /** Length of `body` in bytes (UTF-8). */
  readonly bytes: number;
  /** The exact body that was sent. */
  readonly body: string;
  /** When it was sent, ISO 8601. */
  readonly at: string;
}

const MARKER = Symbol.for('frontdesk.error');

/**
 * Base of all errors of this package. Branch on `code`, or use the static `isInstance` of a class;
 * both work across bundles, where `instanceof` does not.
 * Aborted calls are the exception: they reject with the signal's own `reason`.
 */
export class FrontdeskError extends Error {
  /** Stable machine-readable name; see the table in the README. */
  readonly code: string;
  readonly details: ErrorDetails;
  /** The request that was sent before this happened, if one was. */
  receipt?: Receipt;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details ?? {};
    Object.defineProperty(this, MARKER, { value: true });
  }

  /** Whether it is an error of this package, whichever copy of the package made it. */
  static isInstance(value: unknown): value is FrontdeskError {
    return typeof value === 'object' && value !== null && MARKER in value;
  }
}

/** Makes the base class of one code. */
function errorOfCode<Code extends string>(code: Code) {
  return class extends FrontdeskError {
    declare readonly code: Code;

    constructor(message: string, options?: ErrorOptions) {
      super(code, message, options);
    }

    /** Whether it is an error of this code, whichever copy of the package made it. */
    static override isInstance(value: unknown): value is FrontdeskError & { readonly code: Code } {
      return FrontdeskError.isInstance(value) && value.code === code;
    }
  };
}

/** The caller's arguments are wrong; nothing was run or sent. */
export class InvalidInputError extends errorOfCode('invalid_input') {}
/** This browser lacks something that cannot be done without. */
export class UnsupportedBrowserError extends errorOfCode('unsupported_browser') {}
/** `destroy()` was called. */
export class DestroyedError extends errorOfCode('destroyed') {}

/** The model could not be fetched; `details.status` where the server answered. */
export class DownloadFailedError extends errorOfCode('download_failed') {}
/** The body was shorter or longer than it should be; `details`: `expectedBytes`, `receivedBytes`. */
export class LengthMismatchError extends errorOfCode('length_mismatch') {}
/** The bytes are not those the hash names; `details`: `expected`, `actual`. */
export class HashMismatchError extends errorOfCode('hash_mismatch') {}
/** The device has no room for the model; `details`: `neededBytes` and `missingBytes` where known. */
export class StorageFullError extends errorOfCode('storage_full') {}

/** The model file lies about itself or is damaged. */
export class InvalidModelError extends errorOfCode('invalid_model') {}
/** A task's file is damaged, of another version, or was learnt with another model. */
export class InvalidTaskError extends errorOfCode('invalid_task') {}
/** The file is sound, but of an architecture, tensor type or tokenizer that is not supported. */
export class UnsupportedModelError extends errorOfCode('unsupported_model') {}
/** Prompt and requested output do not fit the context. */
export class ContextOverflowError extends errorOfCode('context_overflow') {}
/** The bytes of the model could not be read back. */
export class ModelReadError extends errorOfCode('io') {}
/** The engine could not get the memory it needs. */
export class OutOfMemoryError extends errorOfCode('out_of_memory') {}
/** The compute backend failed. */
export class BackendError extends errorOfCode('backend') {}
/** The GPU device was lost, and the work could not go on elsewhere. */
export class DeviceLostError extends errorOfCode('device_lost') {}
/** The engine trapped; the next call starts a fresh one. */
export class EngineCrashedError extends errorOfCode('engine_crashed') {}
/** The worker died or could not start; the next call starts a fresh one. */
export class WorkerDiedError extends errorOfCode('worker_died') {}
/** The engine's WebAssembly files could not be loaded. */
export class ModuleLoadError extends errorOfCode('module_load_failed') {}
/** A defect of this package. */
export class InternalError extends errorOfCode('internal') {}

/** The backend answered with an error; `details.status`, and `retryAfterMs` where it said so. */
export class UpstreamStatusError extends errorOfCode('upstream_status') {}
/** The backend answered 429; `details.status`, and `retryAfterMs` where it said so. */
export class RateLimitedError extends errorOfCode('rate_limited') {}
/** The backend did not answer in time; `details.timeoutMs`. */
export class UpstreamTimeoutError extends errorOfCode('upstream_timeout') {}
/** The backend's answer was not what was asked for: bad JSON, wrong type, cut off, not a label. */
export class UpstreamMalformedError extends errorOfCode('upstream_malformed') {}
/** The backend could not be reached. */
export class UpstreamNetworkError extends errorOfCode('upstream_network') {}
/** No request was sent: the backend asked for patience (Retry-After); `details.retryAfterMs` is left. */
export class CloudPausedError extends errorOfCode('cloud_paused') {}
/** Neither the device nor the cloud could answer; `cause` is the device's error, `details` has both codes: `deviceCode` and `cloudCode`. */
export class NoAnswerError extends errorOfCode('no_answer') {}
