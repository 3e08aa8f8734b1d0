/** A limit on the time that a download may take without a byte, and waits between attempts (worker only). */
import { LinkedAbort, raceAbort } from '../abort.js';
import { DownloadFailedError } from '../errors.js';

const STALL_MS = 60_000;

/** Waits that end with the caller's signal. */
export class Patience {
  readonly #outer: AbortSignal;
  /** Milliseconds of silence that are borne; default one minute. */
  readonly stallMs: number;

  constructor(signal: AbortSignal, stallMs = STALL_MS) {
    this.#outer = signal;
    this.stallMs = stallMs;
  }

  /** A request of its own, which is given up when nothing comes for too long. */
  begin(): Attempt {
    return new Attempt(this.#outer, this.stallMs);
  }

  /** Whether the browser says that there is no network. */
  get isOffline(): boolean {
    return (globalThis.navigator as Partial<Navigator> | undefined)?.onLine === false;
  }

  /** Resolves after so long, or when the network comes back; rejects with the signal's reason when that aborts. */
  async pause(ms: number): Promise<void> {
    let end: (() => void) | undefined;
    const over = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      const onOnline = () => {
        resolve();
      };
      globalThis.addEventListener?.('online', onOnline);
      end = () => {
        clearTimeout(timer);
        globalThis.removeEventListener?.('online', onOnline);
      };
    });
    try {
      await raceAbort(over, this.#outer);
    } finally {
      end?.();
    }
  }
}

/** One request. */
export class Attempt {
  readonly #abort: LinkedAbort;
  readonly #outer: AbortSignal;
  readonly #stallMs: number;

  constructor(outer: AbortSignal, stallMs: number) {
    this.#outer = outer;
    this.#abort = new LinkedAbort(outer);
    this.#stallMs = stallMs;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Throws the caller's reason where the caller gave up. */
  throwIfGivenUp(): void {
    this.#outer.throwIfAborted();
  }

  /** Settles like `work`; rejects with the signal's reason when that aborts or `work` takes too long. */
  async wait<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#abort.abort(new DownloadFailedError(`the download stopped: nothing came for ${this.#stallMs} ms`, { details: { stallMs: this.#stallMs } }));
    }, this.#stallMs);
    try {
      return await raceAbort(work, this.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#abort.unlink();
  }
}
