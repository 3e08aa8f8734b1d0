/** One request's limits: the caller's signal and a time limit in one signal, and a cap on the body. */
import { LinkedAbort, raceAbort } from '../abort.js';
import { UpstreamMalformedError, UpstreamTimeoutError } from '../errors.js';

/**
 * Joins the caller's signal with a time limit that can be restarted, which `AbortSignal.timeout`
 * cannot. `race` makes sure that a `fetch` that ignores its signal cannot hold the caller up.
 */
export class Deadline {
  readonly #abort: LinkedAbort;
  readonly #timeoutMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number, outer?: AbortSignal) {
    this.#abort = new LinkedAbort(outer);
    this.#timeoutMs = timeoutMs;
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Starts the time limit anew, for streams: each piece of text shows that the answer goes on. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const message = `the backend did not answer within ${this.#timeoutMs} ms`;
      this.#abort.abort(new UpstreamTimeoutError(message, { details: { timeoutMs: this.#timeoutMs } }));
    }, this.#timeoutMs);
  }

  /** Settles like `work`, or rejects with the signal's reason as soon as that aborts. */
  race<T>(work: Promise<T>): Promise<T> {
    return raceAbort(work, this.signal);
  }

  /** Ends the request: whatever is still open is cancelled. */
  end(): void {
    clearTimeout(this.#timer);
    this.#abort.unlink();
    this.#abort.abort();
  }
}

/** The body's pieces as text; rejects what is too long, cut off or not UTF-8. */
export async function* readText(response: Response, deadline: Deadline, maxBytes: number): AsyncGenerator<string> {
  if (!response.body) throw new UpstreamMalformedError('the backend answered without a body');
  const reader = response.body.getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await deadline.race(reader.read());
      if (done) break;
      bytes += value.byteLength;
      if (bytes > maxBytes) throw new UpstreamMalformedError(`the backend's answer is longer than ${maxBytes} bytes`);
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    if (UpstreamMalformedError.isInstance(error)) throw error;
    throw new UpstreamMalformedError("the backend's answer was cut off or is not UTF-8", { cause: error });
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
