/** Gives what the desk streams as a ReadableStream whose reader can stop the work. */
import { LinkedAbort } from '../abort.js';

/** How a stream is begun and what is made of it. */
export interface StreamSteps<Piece, Part> {
  /** Begins the work, which the signal stops. */
  start(signal: AbortSignal): AsyncIterable<Piece>;
  /** Makes of the pieces what readers get. */
  parts(pieces: AsyncIterable<Piece>): AsyncGenerator<Part, void>;
}

/** Resolves once the first piece is there, so that what fails before it rejects and is no broken stream. */
export async function openStream<Piece, Part>(steps: StreamSteps<Piece, Part>, outer: AbortSignal | undefined): Promise<ReadableStream<Part>> {
  const abort = new LinkedAbort(outer);
  const pieces = steps.start(abort.signal)[Symbol.asyncIterator]();
  try {
    const first = await pieces.next();
    const parts = steps.parts(resumed(first, pieces, abort));
    return new ReadableStream<Part>({
      async pull(controller) {
        const next = await parts.next();
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      cancel(reason) {
        abort.abort(reason);
        // Nobody is left to hear of what the stopped work ends with.
        parts.return().catch(() => undefined);
      },
    });
  } catch (error) {
    abort.unlink();
    throw error;
  }
}

async function* resumed<Piece>(first: IteratorResult<Piece>, rest: AsyncIterator<Piece>, abort: LinkedAbort): AsyncGenerator<Piece, void> {
  try {
    for (let next = first; !next.done; next = await rest.next()) yield next.value;
  } finally {
    abort.unlink();
    await rest.return?.();
  }
}
