/** The worker: owns the engine, answers the protocol's verbs one at a time, and listens for aborts. */
import { type Encoder, type StartedEngine, startEngineModule, type Task, type TaskJob } from './engine_module.js';
import { EngineCrashedError, InternalError, InvalidInputError } from './errors.js';
import { isDeviceLost, type JobOptions, type OnCrash, runJob, SerialQueue } from './job_queue.js';
import { importModel } from './files/import_model.js';
import { type PlacedModel, placeAgain, placeModel, type Placing } from './model_place.js';
import type { FromWorker, LearnProgress, ModelInfo, PrefillProgress, Protocol, TaskInfo, ToWorker, Verb } from './protocol.js';
import { fetchAndRead } from './reading.js';
import { openModel, type OpenOptions } from './files/store.js';
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
  placed?: PlacedModel;
  /** How the model was loaded. */
  placing?: Placing;
  encoder?: Encoder;
  /** Tasks of the encoder. */
  tasks?: TaskShelf;
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
    const { model, reflex, wasmUrl, engine: wishes, keep } = request;
    const startedAt = performance.now();
    engine ??= await startEngineModule(wishes, wasmUrl);
    const { module } = engine;
    engine.placed?.model.free();
    engine.encoder?.free();
    engine.tasks?.free();
    delete engine.placed;
    delete engine.encoder;
    delete engine.tasks;
    const options: OpenOptions = { createHash: () => new module.Sha256(), signal, onProgress: emit, keep };
    const tell = (loaded: number, total: number) => {
      emit({ phase: 'load', loaded, total });
    };
    if (reflex) {
      const { value } = await fetchAndRead(reflex, options, (source) => module.Encoder.load(source, tell));
      engine.encoder = value;
      engine.tasks = new TaskShelf(module, reflex.sha256);
    }
    const placing = { engine, request, options, tell, onCrash };
    const { value, source, fetchedAt } = await placeModel(placing);
    engine.placed = value;
    engine.placing = placing;
    const { backend, adapter, backendReason } = value;
    const timing = { fetchMs: fetchedAt - startedAt, loadMs: performance.now() - fetchedAt };
    const { cached, warning } = source;
    const { variant, threads } = engine;
    return {
      ...{ id: model.id, sha256: model.sha256, ...value.model.describe(), backend, variant, threads, cached, timing },
      ...(warning !== undefined && { warning }),
      ...(adapter && { adapter }),
      ...(backendReason !== undefined && { backendReason }),
      ...(reflex && engine.encoder && { reflex: { id: reflex.id, sha256: reflex.sha256, ...engine.encoder.describe() } }),
    } satisfies ModelInfo;
  },
  keepModel: async ({ model, wasmUrl }, { signal, emit }) => {
    const { Sha256 } = await moduleForFiles(wasmUrl);
    const opened = await openModel(model, { createHash: () => new Sha256(), signal, onProgress: emit, keep: 'required' });
    opened.close();
    return null;
  },
  importModel: async (request, { signal, emit }) => {
    const { Sha256 } = await moduleForFiles(request.wasmUrl);
    return { sha256: await importModel(request, { createHash: () => new Sha256(), signal, onProgress: emit }) };
  },
  classify: async (request, { signal, emit }) => {
    const classify = () => runJob(loaded().placed.model.classify(request), { signal, onCrash, onEvent: prefillTo(emit) });
    try {
      return await classify();
    } catch (error) {
      if (!isDeviceLost(error)) throw error;
      await recover(signal, 1);
      return classify();
    }
  },
  embed: ({ texts }, { signal, emit }) => {
    return runJob(taskSide().encoder.embed(texts), {
      signal,
      onCrash,
      onEvent: prefillTo(emit),
    });
  },
  chat: (request, { signal, emit }) => {
    const job = loaded().placed.model.chat(request);
    let losses = 0;
    return runJob(job, {
      signal,
      onCrash,
      onEvent: (event) => {
        if (event.type !== 'learning') emit(event);
      },
      recover: async () => {
        losses += 1;
        await recover(signal, losses);
        job.resume(loaded().placed.model);
      },
    });
  },
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

/** A module where no model is to be loaded. */
async function moduleForFiles(wasmUrl: string | undefined): Promise<StartedEngine['module']> {
  return (engine ?? (await startEngineModule({ threads: 1 }, wasmUrl))).module;
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

function loaded(): { readonly placed: PlacedModel; readonly placing: Placing } {
  const { placed, placing } = engine ?? {};
  if (!placed || !placing) throw new InternalError('no model is loaded');
  return { placed, placing };
}

/** Loads the model again after its GPU was lost, so many times in one call, and says where it is now. */
async function recover(signal: AbortSignal, losses: number): Promise<void> {
  const { placed, placing } = loaded();
  const options = { ...placing.options, signal, onProgress: () => undefined };
  // What loses its GPU twice may be what the GPU cannot bear.
  const again = await placeAgain({ ...placing, options, tell: () => undefined }, losses > 1 ? 'wasm' : 'webgpu');
  if (!engine) throw new InternalError('the engine is gone');
  engine.placed = again;
  placed.model.free();
  scope.postMessage({ moved: { backend: again.backend, reason: 'the GPU device was lost' } });
}
