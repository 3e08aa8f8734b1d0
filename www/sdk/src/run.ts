/** One request's two legs: what each said, how long it took, and what was sent. */
import { raceAbort } from './abort.js';
import { ContextOverflowError, DestroyedError, FrontdeskError, InvalidInputError, NoAnswerError, type Receipt, UpstreamNetworkError } from './errors.js';
import type { AnswerTiming, CloudFailure } from './results.js';

/** Keeps the books of one request; the modes themselves are in cascade.ts. */
export class Run {
  readonly signal: AbortSignal | undefined;
  receipt: Receipt | undefined;
  cloudError: FrontdeskError | undefined;
  deviceError: FrontdeskError | undefined;
  readonly #start = performance.now();
  #localMs: number | undefined;
  #cloudMs: number | undefined;

  readonly #tell: ((receipt: Receipt) => void) | undefined;

  /** `tell` is told each receipt too, just before its request is sent. */
  constructor(signal?: AbortSignal, tell?: (receipt: Receipt) => void) {
    signal?.throwIfAborted();
    this.signal = signal;
    this.#tell = tell;
  }

  readonly onSend = (receipt: Receipt): void => {
    this.receipt = receipt;
    try {
      this.#tell?.(receipt);
    } catch (error) {
      // A listener's failure is the page's own, as with events; the request goes on.
      queueMicrotask(() => {
        throw error;
      });
    }
  };

  get timing(): AnswerTiming {
    return {
      ...(this.#localMs !== undefined && { localMs: this.#localMs }),
      ...(this.#cloudMs !== undefined && { cloudMs: this.#cloudMs }),
      totalMs: performance.now() - this.#start,
    };
  }

  /** The cloud's failure as data. */
  get cloudFailure(): CloudFailure | undefined {
    if (!this.cloudError) return undefined;
    const { code, message, details } = this.cloudError;
    const { status, retryAfterMs } = details;
    return {
      code,
      message,
      ...(typeof status === 'number' && { status }),
      ...(typeof retryAfterMs === 'number' && { retryAfterMs }),
    };
  }

  /** Runs the device's leg. */
  async onDevice<T>(leg: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await leg();
    } finally {
      this.#localMs = (this.#localMs ?? 0) + performance.now() - start;
    }
  }

  /**
   * Runs the cloud's leg; what an implementation of a provider throws becomes typed, and one that
   * ignores its signal holds up nobody.
   */
  async inCloud<T>(leg: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await raceAbort(leg(), this.signal);
    } catch (error) {
      this.signal?.throwIfAborted();
      this.cloudError = FrontdeskError.isInstance(error) ? error : new UpstreamNetworkError('the provider failed', { cause: error });
      if (this.receipt) this.cloudError.receipt = this.receipt;
      throw this.cloudError;
    } finally {
      this.#cloudMs = performance.now() - start;
    }
  }

  /** Notes that the device failed; throws where no fallback could help. */
  noteDeviceFailure(error: unknown): void {
    this.signal?.throwIfAborted();
    if (!FrontdeskError.isInstance(error) || InvalidInputError.isInstance(error) || DestroyedError.isInstance(error)) throw error;
    this.deviceError = error;
  }

  /** Why the device's answer is given although the cloud was to answer. */
  get cloudLost(): 'cloud_failed' | 'cloud_paused' {
    return this.cloudError?.code === 'cloud_paused' ? 'cloud_paused' : 'cloud_failed';
  }

  /** The error of a request that both failed. */
  noAnswer(): NoAnswerError {
    const deviceCode = this.deviceError?.code ?? 'none';
    const cloudCode = this.cloudError?.code ?? 'none';
    const what = ContextOverflowError.isInstance(this.deviceError) ? 'the text does not fit the device' : 'the device failed';
    const error = new NoAnswerError(`${what} (${deviceCode}) and the cloud failed (${cloudCode})`, {
      cause: this.deviceError,
      details: { deviceCode, cloudCode },
    });
    if (this.receipt) error.receipt = this.receipt;
    return error;
  }
}
