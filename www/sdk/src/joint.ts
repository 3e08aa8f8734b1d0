/** Work that several callers wait for and that is done once. */
import { raceAbort } from './abort.js';

/** Begins with the first caller; ends early only when all have given up. */
export class Joint<Event, Result> {
  readonly #abort = new AbortController();
  readonly #listeners = new Set<(event: Event) => void>();
  /** Settles like the work; who only looks here does not wait. */
  readonly result: Promise<Result>;
  #waiting = 0;
  #isSettled = false;

  constructor(work: (signal: AbortSignal, emit: (event: Event) => void) => Promise<Result>) {
    this.result = work(this.#abort.signal, (event) => {
      for (const listener of this.#listeners) listener(event);
    });
    const settle = () => {
      this.#isSettled = true;
    };
    this.result.then(settle, settle);
  }

  /** Whether all who waited have given up; then somebody new must begin anew. */
  get isGivenUp(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Settles like the work; rejects with `signal.reason` when that aborts, for the last one once the work has ended. */
  async join(signal?: AbortSignal, listener?: (event: Event) => void): Promise<Result> {
    this.#waiting += 1;
    if (listener) this.#listeners.add(listener);
    try {
      return await raceAbort(this.result, signal);
    } finally {
      this.#waiting -= 1;
      if (listener) this.#listeners.delete(listener);
      if (this.#waiting === 0 && !this.#isSettled) {
        this.#abort.abort(signal?.reason);
        // The work cleans up; who asked for its end may end the worker next.
        await this.result.catch(() => undefined);
      }
    }
  }
}
