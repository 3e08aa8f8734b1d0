/** Runs the engine's jobs one at a time and looks for aborts between their steps. */
import type { Job, Step } from './engine_module.js';
import { EngineCrashedError } from './errors.js';
import type { ChatDelta, PrefillProgress } from './protocol.js';

/** Runs tasks one after another, in the order they came. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/**
 * Steps the job until it is done. Rejects with `signal.reason` between two steps; the job is freed
 * either way. `crashed` rejects when the engine trapped in a place that no promise reports.
 */
export async function runJob<Result>(
  job: Job<Result>,
  { signal, crashed, onEvent }: { signal: AbortSignal; crashed: Promise<never>; onEvent: (event: PrefillProgress | ChatDelta) => void },
): Promise<Result> {
  let trapped = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const step: Step<Result> = await Promise.race([job.step(), crashed]);
      if (step.type === 'done') return step.result;
      if (step.type !== 'idle') onEvent(step);
      await letMessagesIn();
    }
  } catch (error) {
    trapped = error instanceof WebAssembly.RuntimeError || EngineCrashedError.isInstance(error);
    throw error;
  } finally {
    // An engine that trapped must not be entered again.
    if (!trapped) job.free();
  }
}

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => {
  waiting.shift()?.();
};

/** Lets messages that have arrived be handled; unlike timers, message channels are never throttled. */
function letMessagesIn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(undefined);
  });
}
