/** The page's side of the worker protocol: typed calls, abort, and a fresh worker after a death. */
import { raceAbort } from './abort.js';
import { DestroyedError, type FrontdeskError, WorkerDiedError } from './errors.js';
import { missing } from './missing.js';
import type { BackendChange, FromWorker, LoadRequest, ModelInfo, Protocol, ToWorker, Verb } from './protocol.js';
import { fromWireError } from './wire_errors.js';

export interface CallOptions<V extends Verb> {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: Protocol[V]['event']) => void) | undefined;
}

export interface EngineClientOptions {
  /** Default: the worker file beside this module. */
  readonly workerUrl?: string | URL;
  /** What every fresh worker loads first; absent where only files are to be handled. */
  readonly load?: LoadRequest;
  /** Is told when a lost GPU made the model go elsewhere. */
  readonly onBackendChange?: ((change: BackendChange) => void) | undefined;
}

interface InFlight {
  readonly resolve: (response: Protocol[Verb]['response']) => void;
  readonly reject: (reason: Error) => void;
  readonly onEvent: ((event: Protocol[Verb]['event']) => void) | undefined;
}

/** How long `close` waits for aborted calls to clean up, e.g. to remove half a download. */
const CLOSE_GRACE_MS = 1000;

/** One worker with one model. All calls reject with `signal.reason` when aborted. */
export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #inFlight = new Map<number, InFlight>();
  /** Aborted calls that the worker has not let go of yet. */
  readonly #lettingGo = new Set<number>();
  #worker: Worker | undefined;
  #loaded: Promise<ModelInfo> | undefined;
  #nextId = 1;
  #closed = false;
  #onAllLetGo: (() => void) | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  /** Starts the worker and loads the model, unless that was done; `signal` stops the load itself. */
  async load(options: CallOptions<'load'> = {}): Promise<ModelInfo> {
    this.#loaded ??= this.#send('load', this.#options.load ?? missing(), options);
    const loading = this.#loaded;
    try {
      return await loading;
    } catch (error) {
      if (this.#loaded === loading) this.#loaded = undefined;
      throw error;
    }
  }

  /** Asks the engine; the model is loaded first where a fresh worker had to be started. */
  async call<V extends Exclude<Verb, 'load'>>(verb: V, request: Protocol[V]['request'], options: CallOptions<V> = {}): Promise<Protocol[V]['response']> {
    if (this.#options.load) await raceAbort(this.load(), options.signal);
    return this.#send(verb, request, options);
  }

  /** Ends the worker; calls in flight reject. May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const id of this.#inFlight.keys()) this.#abandon(id);
    this.#rejectAll(new DestroyedError('the desk was destroyed while this call ran'));
    if (this.#lettingGo.size > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#onAllLetGo = resolve;
        timer = setTimeout(resolve, CLOSE_GRACE_MS);
      });
      clearTimeout(timer);
    }
    this.#dropWorker();
  }

  #send<V extends Verb>(verb: V, request: Protocol[V]['request'], { signal, onEvent }: CallOptions<V>): Promise<Protocol[V]['response']> {
    return new Promise<Protocol[V]['response']>((resolve, reject) => {
      if (this.#closed) throw new DestroyedError('the desk was destroyed');
      signal?.throwIfAborted();
      const worker = this.#startedWorker();
      const id = this.#nextId++;
      const onAbort = () => {
        this.#inFlight.get(id)?.reject(signal?.reason as Error);
        this.#abandon(id);
      };
      const settle = () => {
        this.#inFlight.delete(id);
        signal?.removeEventListener('abort', onAbort);
      };
      // The worker answers a verb with that verb's types; the map type holds it to that.
      this.#inFlight.set(id, {
        resolve: (response) => {
          settle();
          resolve(response);
        },
        reject: (reason) => {
          settle();
          reject(reason);
        },
        onEvent,
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      worker.postMessage({ id, verb, request });
    });
  }

  /** Tells the worker to stop working on a call. */
  #abandon(id: number): void {
    this.#lettingGo.add(id);
    const message: ToWorker = { id, verb: 'abort' };
    this.#worker?.postMessage(message);
  }

  #startedWorker(): Worker {
    if (this.#worker) return this.#worker;
    const worker = newWorker(this.#options.workerUrl);
    worker.addEventListener('message', (event: MessageEvent<FromWorker>) => {
      if (worker === this.#worker) this.#onMessage(event.data);
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#onDeath(worker, new WorkerDiedError(`the worker died: ${event.message || 'its file could not be loaded'}`));
    });
    worker.addEventListener('messageerror', () => {
      this.#onDeath(worker, new WorkerDiedError('a message of the worker could not be read'));
    });
    this.#worker = worker;
    return worker;
  }

  #onMessage(message: FromWorker): void {
    if ('moved' in message) {
      this.#options.onBackendChange?.(message.moved);
      return;
    }
    if ('died' in message) {
      this.#onDeath(this.#worker, fromWireError(message.died));
      return;
    }
    const call = this.#inFlight.get(message.id);
    if ('event' in message) {
      call?.onEvent?.(message.event);
      return;
    }
    if ('response' in message) {
      call?.resolve(message.response);
    } else {
      call?.reject(fromWireError(message.error));
    }
    this.#lettingGo.delete(message.id);
    if (this.#lettingGo.size === 0) this.#onAllLetGo?.();
  }

  /** The next call starts a fresh worker. */
  #onDeath(worker: Worker | undefined, error: FrontdeskError): void {
    if (worker !== this.#worker) return;
    this.#dropWorker();
    this.#rejectAll(error);
  }

  #dropWorker(): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#loaded = undefined;
    this.#lettingGo.clear();
    this.#onAllLetGo?.();
  }

  #rejectAll(error: FrontdeskError): void {
    for (const call of [...this.#inFlight.values()]) call.reject(error);
  }
}

function newWorker(workerUrl: string | URL | undefined): Worker {
  try {
    // Bundlers know this form and bring the worker along.
    return workerUrl === undefined ? new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }) : new Worker(workerUrl, { type: 'module' });
  } catch (error) {
    throw new WorkerDiedError(`the worker could not be started: ${String(error)}`, { cause: error });
  }
}
