/** Tries again what may pass, with longer and longer waits, as long as something new arrives (worker only). */
import { DownloadFailedError, HashMismatchError, LengthMismatchError } from '../errors.js';
import type { Patience } from './patience.js';
import { PassingFailure } from './range_request.js';

const RETRY_MS = 250;
/** Attempts, one after the other, that brought hardly anything. */
const MOST_FAILURES = 5;
/** What has arrived wrong so often is wrong there. */
const MOST_WRONG = 3;
const PROGRESS_BYTES = 64 * 1024;

export interface RetryOptions {
  readonly patience: Patience;
  /** Milliseconds before the first further attempt, doubled each time; default a quarter of a second. */
  readonly retryMs?: number | undefined;
  /** Bytes that have arrived so far. */
  readonly received: () => number;
}

/** Calls `work` until it says that it is done; rejects with a typed error, or with the signal's reason. */
export async function retry(work: () => Promise<boolean>, { patience, retryMs = RETRY_MS, received }: RetryOptions): Promise<void> {
  let failures = 0;
  let wrong = 0;
  let lastNewsAt = performance.now();
  for (;;) {
    const before = received();
    try {
      if (await work()) return;
      if (received() - before < PROGRESS_BYTES) throw new PassingFailure(new DownloadFailedError('the server sent hardly anything'));
    } catch (error) {
      if (!(error instanceof PassingFailure)) throw error;
      if (HashMismatchError.isInstance(error.error) && (wrong += 1) >= MOST_WRONG) throw error.error;
      if (received() - before >= PROGRESS_BYTES) {
        failures = 0;
        lastNewsAt = performance.now();
      }
      // Without a network nothing is to be expected; some browsers say so wrongly, so that it is tried all the same.
      const isExcused = patience.isOffline && performance.now() - lastNewsAt < patience.stallMs;
      failures = Math.min(failures + 1, isExcused ? MOST_FAILURES - 1 : MOST_FAILURES);
      const { afterMs = retryMs * 2 ** (failures - 1) } = error;
      if (failures === MOST_FAILURES || afterMs > patience.stallMs) throw failed(error, received());
      await patience.pause(afterMs);
    }
  }
}

/** The last failure, with what is worth knowing. */
function failed({ error, afterMs }: PassingFailure, receivedBytes: number): Error {
  if (HashMismatchError.isInstance(error) || LengthMismatchError.isInstance(error)) return error;
  const details = { ...error.details, receivedBytes, ...(afterMs !== undefined && { retryAfterMs: afterMs }) };
  return new DownloadFailedError(error.message, { cause: error.cause ?? error, details });
}
