/** Improves tasks while the page is idle, once enough waits to be learnt from. */
import type { EngineClient } from './client.js';
import type { Improvement, TaskInfo } from './protocol.js';

/** Told of each attempt: what became of it, or why it failed. */
export type OnImproved = (attempt: { readonly task: string; readonly improvement: Improvement } | { readonly task: string; readonly error: unknown }) => void;

/** With fewer texts to compare on, hardly any challenger could be shown to be better. */
const LEAST_COMPARED = 20;
/** Where the browser does not say when it is idle. */
const WAIT_MS = 2000;

export class IdleImprover {
  readonly #client: EngineClient;
  readonly #onImproved: OnImproved;
  readonly #planned = new Set<string>();

  constructor(client: EngineClient, onImproved: OnImproved) {
    this.#client = client;
    this.#onImproved = onImproved;
  }

  /** Plans an improvement where enough waits and none is planned. */
  note(task: string, { memory }: TaskInfo): void {
    if (memory.compare < LEAST_COMPARED || memory.learn === 0 || this.#planned.has(task)) return;
    this.#planned.add(task);
    whenIdle(() => {
      void this.#improve(task).then(this.#onImproved);
    });
  }

  async #improve(task: string): Promise<Parameters<OnImproved>[0]> {
    try {
      return { task, improvement: await this.#client.call('improveTask', { task, texts: [], labels: [] }) };
    } catch (error) {
      return { task, error };
    } finally {
      this.#planned.delete(task);
    }
  }
}

function whenIdle(work: () => void): void {
  // Safari has no such function.
  const request = (globalThis as { requestIdleCallback?: typeof requestIdleCallback }).requestIdleCallback;
  if (request) request(work);
  else setTimeout(work, WAIT_MS);
}
