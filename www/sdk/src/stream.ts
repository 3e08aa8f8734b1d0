/** Turns work that tells its pieces through a callback into an async generator. */
import { LinkedAbort } from './abort.js';

/**
 * Yields what `work` pushes and returns what it resolves to. Leaving the generator early aborts the
 * signal that `work` was given.
 */
export async function* streamOf<Piece, Result>(
  outer: AbortSignal | undefined,
  work: (push: (piece: Piece) => void, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Piece, Result> {
  const abort = new LinkedAbort(outer);
  const pieces: Piece[] = [];
  let settled = false;
  let wake: () => void = () => undefined;
  const push = (piece: Piece) => {
    pieces.push(piece);
    wake();
  };
  const result = work(push, abort.signal).finally(() => {
    settled = true;
    wake();
  });
  // Where the consumer leaves early nobody is left to hear of the failure.
  result.catch(() => undefined);
  try {
    for (;;) {
      yield* pieces.splice(0);
      if (pieces.length > 0) continue;
      if (settled) return await result;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    abort.unlink();
    if (!settled) abort.abort();
  }
}
