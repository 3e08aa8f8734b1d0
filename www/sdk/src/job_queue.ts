/** Runs the engine's jobs one at a time and looks for aborts between their steps. */
import type { Job, Step } from './engine_module.js';
import { EngineCrashedError } from './errors.js';
import type { ChatDelta, LearnProgress, PrefillProgress } from './protocol.js';

/** Runs tasks one after another, in the order they came. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** Registers a listener for the engine's crash; the result removes it. */
export type OnCrash = (listener: (error: EngineCrashedError) => void) => () => void;

export interface JobOptions {
  readonly signal: AbortSignal;
  readonly onCrash: OnCrash;
  readonly onEvent: (event: PrefillProgress | LearnProgress | ChatDelta) => void;
  readonly queue?: SerialQueue;
  /** Has the job go on elsewhere after the GPU was lost; without it, or where it throws, the job fails. */
  readonly recover?: () => Promise<void>;
}

/**
 * Steps the job until it is done. Rejects with `signal.reason` between two steps; the job is freed
 * either way. `onCrash` is told a listener for traps that no promise reports, and gives back how to
 * remove it. With `queue` each step waits for its turn there, so that other work goes on between two.
 */
export async function runJob<Result>(
  job: Job<Result>,
  { signal, onCrash, onEvent, queue, recover }: JobOptions,
): Promise<Result> {
  let trapped = false;
  let crash: EngineCrashedError | undefined;
  let failStep: (error: EngineCrashedError) => void = () => undefined;
  const removeListener = onCrash((error) => {
    crash = error;
    failStep(error);
  });
  try {
    for (;;) {
      signal.throwIfAborted();
      if (crash) throw crash;
      // The step of an engine that trapped may never settle.
      const takeStep = () =>
        new Promise<Step<Result>>((resolve, reject) => {
          if (crash) throw crash;
          failStep = reject;
          job.step().then(resolve, reject);
        });
      let step: Step<Result>;
      try {
        step = await (queue ? queue.run(takeStep) : takeStep());
      } catch (error) {
        if (!recover || !isDeviceLost(error)) throw error;
        await recover();
        continue;
      }
      if (step.type === 'done') return step.result;
      if (step.type !== 'idle') onEvent(step);
      await letMessagesIn();
    }
  } catch (error) {
    trapped = isTrap(error);
    throw error;
  } finally {
    removeListener();
    // An engine that trapped must not be entered again.
    if (!trapped) job.free();
  }
}

/** Whether the engine has trapped, and must not be entered again. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || EngineCrashedError.isInstance(error);
}

/** Whether the engine's error says that the GPU is gone. */
export function isDeviceLost(error: unknown): boolean {
  return error instanceof Error && error.name === 'EngineError' && 'code' in error && error.code === 'device_lost';
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
