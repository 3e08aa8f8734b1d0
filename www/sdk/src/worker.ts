/** The worker: owns the engine, answers the protocol's verbs one at a time, and listens for aborts. */
import type { DownloadOptions } from './download.js';
import { type ByteSource, type Encoder, type Model, type StartedEngine, startEngineModule, type Task, type TaskJob } from './engine_module.js';
import { EngineCrashedError, InternalError, InvalidInputError } from './errors.js';
import { type JobOptions, type OnCrash, runJob, SerialQueue } from './job_queue.js';
import type { FromWorker, LearnProgress, ModelFile, ModelInfo, PrefillProgress, Protocol, TaskInfo, ToWorker, Verb } from './protocol.js';
import { forgetModel, isIntact, openModel, type OpenedModel } from './store.js';
import { TaskShelf } from './task_shelf.js';
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
  encoder?: Encoder;
  /** Tasks of the encoder. */
  tasks?: TaskShelf;
}

/** A model that was read, and where from. */
interface Read<T> {
  readonly value: T;
  readonly source: OpenedModel;
  /** When its file was there, on the worker's clock. */
  readonly fetchedAt: number;
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
  load: async ({ model, reflex, contextTokens, wasmUrl, engine: wishes }, { signal, emit }) => {
    const startedAt = performance.now();
    engine ??= await startEngineModule(wishes, wasmUrl);
    const { module } = engine;
    engine.model?.free();
    engine.encoder?.free();
    engine.tasks?.free();
    delete engine.model;
    delete engine.encoder;
    delete engine.tasks;
    const options: DownloadOptions = { createHash: () => new module.Sha256(), signal, onProgress: emit };
    const tell = (loaded: number, total: number) => {
      emit({ phase: 'load', loaded, total });
    };
    if (reflex) {
      const { value } = await fetchAndRead(reflex, options, (source) => module.Encoder.load(source, tell));
      engine.encoder = value;
      engine.tasks = new TaskShelf(module, reflex.sha256);
    }
    const { value, source, fetchedAt } = await fetchAndRead(model, options, (source) => module.Model.load(source, contextTokens, tell));
    engine.model = value;
    const timing = { fetchMs: fetchedAt - startedAt, loadMs: performance.now() - fetchedAt };
    const { cached, warning } = source;
    const { variant, threads } = engine;
    return {
      ...{ id: model.id, sha256: model.sha256, ...value.describe(), backend: 'wasm', variant, threads, cached, timing },
      ...(warning !== undefined && { warning }),
      ...(reflex && engine.encoder && { reflex: { id: reflex.id, sha256: reflex.sha256, ...engine.encoder.describe() } }),
    } satisfies ModelInfo;
  },
  classify: (request, { signal, emit }) =>
    runJob(loadedModel().classify(request), {
      signal,
      onCrash,
      onEvent: prefillTo(emit),
    }),
  embed: ({ texts }, { signal, emit }) => {
    return runJob(taskSide().encoder.embed(texts), {
      signal,
      onCrash,
      onEvent: prefillTo(emit),
    });
  },
  chat: (request, { signal, emit }) =>
    runJob(loadedModel().chat(request), {
      signal,
      onCrash,
      onEvent: (event) => {
        if (event.type !== 'learning') emit(event);
      },
    }),
  learnTask: ({ task: name, ...examples }, { signal, emit }) =>
    changeTask(name, async ({ encoder, tasks }) => {
      const { task } = await runTaskJob(encoder.learn({ ...examples, encoderSha256: tasks.encoderSha256 }), signal, learningTo(emit));
      await tasks.replace(name, task);
      return described(name);
    }),
  applyTask: async ({ task: name, ...request }, { signal, emit }) => {
    const { encoder, tasks } = taskSide();
    return runJob(await tasks.use(name, (task) => encoder.apply(task, request)), { signal, onCrash, onEvent: prefillTo(emit) });
  },
  evaluateTask: async ({ task: name, ...rows }, { signal, emit }) => {
    const { encoder, tasks } = taskSide();
    return runJob(await tasks.use(name, (task) => encoder.evaluate(task, rows)), { signal, onCrash, onEvent: prefillTo(emit), queue });
  },
  calibrateTask: ({ task: name, budget, ...rows }, { signal, emit }) =>
    changeTask(name, async ({ encoder, tasks }) => {
      const { task, result } = await runTaskJob(await tasks.use(name, (task) => encoder.certify(task, rows, budget)), signal, prefillTo(emit));
      await tasks.keep(name, task);
      return result;
    }),
  recalibrateTask: ({ task: name, budget }) =>
    changeTask(name, async ({ tasks }) => {
      const { task, guarantee } = await tasks.use(name, (used) => ({ task: used, guarantee: used.recertify(budget) }));
      await tasks.keep(name, task);
      return guarantee;
    }),
  teachTask: ({ task: name, teacher, ...rows }, { signal, emit }) =>
    changeTask(name, async ({ encoder, tasks }) => {
      const { task } = await runTaskJob(await tasks.use(name, (task) => encoder.teach(task, rows, teacher)), signal, prefillTo(emit));
      await tasks.keep(name, task);
      return described(name);
    }),
  improveTask: ({ task: name, ...rows }, { signal, emit }) =>
    changeTask(name, async ({ encoder, tasks }) => {
      const { task, result } = await runTaskJob(await tasks.use(name, (task) => encoder.improve(task, rows)), signal, learningTo(emit));
      await (result.outcome === 'promoted' ? tasks.replace(name, task) : tasks.keep(name, task));
      return result;
    }),
  rollbackTask: ({ task: name }) =>
    changeTask(name, async ({ tasks }) => {
      await tasks.rollback(name);
      return described(name);
    }),
  describeTask: ({ task: name }) => taskSide().tasks.describe(name),
  exportTask: ({ task: name }) => taskSide().tasks.use(name, (task) => new Uint8Array(task.export())),
  importTask: ({ task: name, bytes }) =>
    changeTask(name, async ({ tasks }) => {
      await tasks.replace(name, tasks.open(bytes));
      return described(name);
    }),
  forgetTask: ({ task: name }) =>
    changeTask(name, async ({ tasks }) => {
      await tasks.forget(name);
      return null;
    }),
  ledger: ({ calls, prices }) => {
    if (!engine) throw new InternalError('no engine is loaded');
    return Promise.resolve(engine.module.summariseLedger(calls, prices));
  },
};

/** These take their turns step by step: a request that comes while a task learns is answered in between. */
const STEPWISE: ReadonlySet<Verb> = new Set([
  'learnTask',
  'evaluateTask',
  'calibrateTask',
  'recalibrateTask',
  'teachTask',
  'improveTask',
  'rollbackTask',
  'exportTask',
  'importTask',
  'forgetTask',
]);

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

interface TaskSide {
  readonly encoder: Encoder;
  readonly tasks: TaskShelf;
}

/** What tasks and embeddings need. */
function taskSide(): TaskSide {
  const { encoder, tasks } = engine ?? {};
  if (!encoder || !tasks) throw new InvalidInputError('this desk was made without a reflex model');
  return { encoder, tasks };
}

/** Work on one task, after what was begun before on the same one. */
async function changeTask<T>(name: string, work: (side: TaskSide) => Promise<T>): Promise<T> {
  const side = taskSide();
  return side.tasks.inTurn(name, () => work(side));
}

/** What a task that was just put on the shelf has learnt. */
async function described(name: string): Promise<TaskInfo> {
  const info = await taskSide().tasks.describe(name);
  if (!info) throw new InternalError('the task is gone');
  return info;
}

/** Runs a job that makes a task, step by step in turn; the task is the caller's to keep or to free. */
async function runTaskJob<Result>(job: TaskJob<Result>, signal: AbortSignal, onEvent: JobOptions['onEvent']): Promise<{ readonly task: Task; readonly result: Result }> {
  let task: Task | undefined;
  const step = async () => {
    const done = await job.step();
    if (done.type === 'done') task = job.task();
    return done;
  };
  const free = () => {
    job.free();
  };
  const result = await runJob({ step, free }, { signal, onCrash, onEvent, queue });
  if (!task) throw new InternalError('the job made no task');
  return { task, result };
}

/** Hands on texts read and the share that is learnt. */
function learningTo(emit: (event: PrefillProgress | LearnProgress) => void): JobOptions['onEvent'] {
  return (event) => {
    if (event.type !== 'delta') emit(event);
  };
}

/** Hands on progress and nothing else. */
function prefillTo(emit: (event: PrefillProgress) => void): JobOptions['onEvent'] {
  return (event) => {
    if (event.type === 'prefill') emit(event);
  };
}

async function answer<V extends Verb>(message: RequestMessage<V>): Promise<void> {
  const { id, verb, request } = message;
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    const work = async () => {
      abort.signal.throwIfAborted();
      if (crash) throw crash;
      return handlers[verb](request, {
        signal: abort.signal,
        emit: (event) => {
          scope.postMessage({ id, verb, event } as FromWorker);
        },
      });
    };
    const response = await (STEPWISE.has(verb) ? work() : queue.run(work));
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

/** Reads a model's file; one that was kept and is damaged is fetched again. */
async function fetchAndRead<T>(model: ModelFile, options: DownloadOptions, read: (source: ByteSource) => T): Promise<Read<T>> {
  const readOnce = (source: OpenedModel): Read<T> => {
    const fetchedAt = performance.now();
    try {
      return { value: read(source), source, fetchedAt };
    } finally {
      source.close();
    }
  };
  const source = await openModel(model, options);
  options.signal.throwIfAborted();
  try {
    return readOnce(source);
  } catch (error) {
    // Not even a hash can be had from an instance that trapped.
    if (error instanceof WebAssembly.RuntimeError) throw error;
    if (!(await dropIfDamaged(source, model, options))) throw error;
    return readOnce(await openModel(model, options));
  }
}

/** True where a file that was kept earlier has been damaged since and was now removed. */
async function dropIfDamaged(source: OpenedModel, model: ModelFile, options: DownloadOptions): Promise<boolean> {
  if (crash || !source.cached) return false;
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
