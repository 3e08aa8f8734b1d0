// Waiting that can be given up.

/** The promise's outcome, or `signal.reason` as soon as that is aborted. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  // Nobody waits for it once it is given up.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let giveUp = (): void => undefined;
  const givenUp = new Promise<never>((_, reject: (reason: Error) => void) => {
    giveUp = () => reject(signal.reason as Error);
  });
  signal.addEventListener('abort', giveUp, { once: true });
  return Promise.race([promise, givenUp]).finally(() => signal.removeEventListener('abort', giveUp));
}
