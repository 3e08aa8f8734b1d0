/** Work on many items, a few at a time. */
import { LinkedAbort } from './abort.js';

export interface TurnOptions {
  /** Items that are worked on at the same time. */
  readonly atOnce: number;
  readonly signal?: AbortSignal | undefined;
}

/** Does the work for each item; the first failure stops all, and is what this rejects with. */
export async function inTurns<T>(
  items: readonly T[],
  { atOnce, signal: outer }: TurnOptions,
  work: (item: T, index: number, signal: AbortSignal | undefined) => Promise<void>,
): Promise<void> {
  const only = items[0];
  if (items.length === 1 && only !== undefined) return work(only, 0, outer);
  const stop = new LinkedAbort(outer);
  const { signal } = stop;
  const rest = items.entries();
  const lane = async () => {
    for (const [index, item] of rest) {
      signal.throwIfAborted();
      await work(item, index, signal);
    }
  };
  const lanes = Array.from({ length: Math.min(atOnce, items.length) }, lane);
  try {
    await Promise.all(lanes);
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(lanes);
    throw error;
  } finally {
    stop.unlink();
  }
}
