/** The worker: owns the engine, answers the protocol's verbs one at a time, and listens for aborts. */
import type { DownloadOptions } from './download.js';
import { type EngineModule, type Model, type StartedEngine, startEngineModule } from './engine_module.js';
import { EngineCrashedError, InternalError } from './errors.js';
import { type OnCrash, runJob, SerialQueue } from './job_queue.js';
import type { FromWorker, LoadRequest, ModelInfo, Protocol, ToWorker, Verb } from './protocol.js';
import { forgetModel, isIntact, openModel, type OpenedModel } from './store.js';
import { toWireError } from './wire_errors.js';

interface Context<V extends Verb> {
  readonly signal: AbortSignal;
  readonly emit: (event: Protocol[V]['event']) => void;
}

type Handlers = {
  readonly [V in Verb]: (request: Protocol[V]['request'], context: Context<V>) => Promise<Protocol[V]['response']>;
};

type RequestMessage<V extends Verb = Verb> = { [K in V]: { readonly id: number; readonly verb: K; readonly request: Protocol[K]['request'] } }[V];

interface Engine extends StartedEngine {
  model?: Model;
}

/** The part of a dedicated worker's scope that is used. */
interface WorkerScope {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  addEventListener(type: 'error', listener: (event: ErrorEvent) => void): void;
  addEventListener(type: 'unhandledrejection', listener: (event: PromiseRejectionEvent) => void): void;
}

const scope = self as unknown as WorkerScope;
const queue = new SerialQueue();
const aborts = new Map<number, AbortController>();
let engine: Engine | undefined;
let crash: EngineCrashedError | undefined;
const crashListeners = new Set<(error: EngineCrashedError) => void>();
const onCrash: OnCrash = (listener) => {
  crashListeners.add(listener);
  return () => crashListeners.delete(listener);
};

const handlers: Handlers = {
  load: async (request, { signal, emit }) => {
    const fetchStart = performance.now();
    engine ??= await startEngineModule(request.engine, request.wasmUrl);
    const { module } = engine;
    engine.model?.free();
    delete engine.model;
    const options: DownloadOptions = { createHash: () => new module.Sha256(), signal, onProgress: emit };
    let source = await openModel(request.model, options);
    signal.throwIfAborted();
    const loadStart = performance.now();
    try {
      engine.model = readModel(module, source, { request, emit });
    } catch (error) {
      // Not even a hash can be had from an instance that trapped.
      if (error instanceof WebAssembly.RuntimeError) throw error;
      if (!(await dropIfDamaged(source, request, options))) throw error;
      source = await openModel(request.model, options);
      engine.model = readModel(module, source, { request, emit });
    }
    const timing = { fetchMs: loadStart - fetchStart, loadMs: performance.now() - loadStart };
    return describe(engine.model, { request, source, engine, timing });
  },
  classify: (request, { signal, emit }) =>
    runJob(loadedModel().classify(request), {
      signal,
      onCrash,
      onEvent: (event) => {
        if (event.type === 'prefill') emit(event);
      },
    }),
  chat: (request, { signal, emit }) => runJob(loadedModel().chat(request), { signal, onCrash, onEvent: emit }),
};

scope.onmessage = ({ data: message }) => {
  if (message.verb === 'abort') {
    aborts.get(message.id)?.abort();
  } else {
    void answer(message);
  }
};

// A trap inside the engine's own asynchronous code rejects no promise; it only shows here.
scope.addEventListener('error', (event) => {
  onUncaught(event.error, event);
});
scope.addEventListener('unhandledrejection', (event) => {
  onUncaught(event.reason, event);
});

function onUncaught(error: unknown, event: Event): void {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  event.preventDefault();
  noteCrash(error);
}

async function answer<V extends Verb>(message: RequestMessage<V>): Promise<void> {
  const { id, verb, request } = message;
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    const response = await queue.run(async () => {
      abort.signal.throwIfAborted();
      if (crash) throw crash;
      return handlers[verb](request, {
        signal: abort.signal,
        emit: (event) => {
          scope.postMessage({ id, verb, event } as FromWorker);
        },
      });
    });
    scope.postMessage({ id, verb, response } as FromWorker);
  } catch (error) {
    const failure = error instanceof WebAssembly.RuntimeError ? noteCrash(error) : error;
    const wire = abort.signal.aborted ? { code: 'aborted', message: 'the call was aborted' } : toWireError(failure);
    scope.postMessage({ id, error: wire });
  } finally {
    aborts.delete(id);
  }
}

/** From now on every call fails; the page drops this worker and starts another. */
function noteCrash(cause: WebAssembly.RuntimeError): EngineCrashedError {
  crash ??= new EngineCrashedError(`the engine trapped: ${cause.message}`, { cause });
  engine = undefined;
  for (const listener of [...crashListeners]) listener(crash);
  return crash;
}

function loadedModel(): Model {
  if (!engine?.model) throw new InternalError('no model is loaded');
  return engine.model;
}

function readModel(module: EngineModule, source: OpenedModel, { request, emit }: { request: LoadRequest; emit: Context<'load'>['emit'] }): Model {
  try {
    return module.Model.load(source, request.contextTokens, (loaded, total) => {
      emit({ phase: 'load', loaded, total });
    });
  } finally {
    source.close();
  }
}

/** True where a file that was kept earlier has been damaged since and was now removed. */
async function dropIfDamaged(source: OpenedModel, request: LoadRequest, options: DownloadOptions): Promise<boolean> {
  if (crash || !source.cached) return false;
  const { model } = request;
  options.onProgress({ phase: 'verify', loaded: 0, total: source.size });
  const kept = await openModel(model, options);
  try {
    if (isIntact(kept, model, options.createHash())) return false;
  } finally {
    kept.close();
  }
  await forgetModel(model);
  return true;
}

function describe(
  model: Model,
  { request, source, engine, timing }: { request: LoadRequest; source: OpenedModel; engine: StartedEngine; timing: ModelInfo['timing'] },
): ModelInfo {
  const { id, sha256 } = request.model;
  const { cached, warning } = source;
  const { variant, threads } = engine;
  return { id, sha256, ...model.describe(), backend: 'wasm', variant, threads, cached, ...(warning !== undefined && { warning }), timing };
}
