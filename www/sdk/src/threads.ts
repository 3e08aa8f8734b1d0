/** Starts the workers that are the engine's further threads. */
import type { ModuleVariant } from './protocol.js';

/** What a thread needs to enter the engine. */
export interface ToThread {
  readonly variant: ModuleVariant;
  readonly compiled: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

export type FromThread = 'ready';

/** How long a thread may take to start: where a page's rules forbid it, some browsers never say so. */
const START_MS = 10_000;

/** Starts `count` threads; resolves with how many came. They end with the worker that started them. */
export async function startThreads(count: number, engine: ToThread): Promise<number> {
  const started = await Promise.allSettled(Array.from({ length: count }, () => startThread(engine)));
  return started.filter(({ status }) => status === 'fulfilled').length;
}

function startThread(engine: ToThread): Promise<void> {
  return new Promise((resolve, reject) => {
    // Bundlers know this form and bring the file along.
    const worker = new Worker(new URL('./thread_worker.js', import.meta.url), { type: 'module' });
    const timer = setTimeout(() => {
      fail('a thread did not start in time');
    }, START_MS);
    const fail = (reason: string) => {
      clearTimeout(timer);
      worker.terminate();
      reject(new Error(reason));
    };
    worker.addEventListener('error', ({ message }) => {
      fail(message);
    });
    worker.addEventListener('message', () => {
      clearTimeout(timer);
      resolve();
    });
    worker.postMessage(engine);
  });
}
