/** Owns the worker's engine and answers the protocol's verbs, one at a time, for whoever asks (worker only). */
import { type Encoder, type StartedEngine, startEngineModule, type Task, type TaskJob } from './engine_module.js';
import { EngineCrashedError, InternalError, InvalidInputError } from './errors.js';
import { isDeviceLost, type JobOptions, type OnCrash, runJob, SerialQueue } from './job_queue.js';
import { importModel } from './files/import_model.js';
import { checkMemory } from './memory_check.js';
import { checkWebgpu, type PlacedModel, placeAgain, placeModel, type Placing } from './model_place.js';
import { Joint } from './joint.js';
import type { Backend, BackendChange, FromWorker, LearnProgress, LoadProgress, LoadRequest, ModelInfo, PrefillProgress, Protocol, ReflexInfo, TaskInfo, ToWorker, Verb } from './protocol.js';
import type { Read } from './reading.js';
import { freeReflex, type PlacedReflex, placeReflex, placeReflexAgain } from './reflex_place.js';
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
  model?: { readonly placed: PlacedModel; readonly placing: Placing };
  reflex?: { readonly placed: PlacedReflex; readonly placing: Placing; readonly tasks: TaskShelf };
}

/** Who asks, and is answered. */
export interface Caller {
  /** Tells callers apart whose calls have the same number. */
  readonly name: string;
  readonly post: (message: FromWorker) => void;
}

const queue = new SerialQueue();
const aborts = new Map<string, AbortController>();
let engine: Engine | undefined;
/** What is loaded, and what all other calls wait for. */
let wanted: LoadRequest | undefined;
let loading: Joint<LoadProgress, ModelInfo> | undefined;
let onMoved: (change: BackendChange) => void = () => undefined;
let crash: EngineCrashedError | undefined;
const crashListeners = new Set<(error: EngineCrashedError) => void>();
const onCrash: OnCrash = (listener) => {
  crashListeners.add(listener);
  return () => crashListeners.delete(listener);
};

const handlers: Handlers = {
  load: (request, { signal, emit }) => loadOnce(request).join(signal, emit),
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
  classify: (request, { signal, emit }) => {
    const classify = () => runJob(modelSide().placed.model.classify(request), { signal, onCrash, onEvent: prefillTo(emit) });
    return untilDone(classify, (losses) => recover(signal, losses));
  },
  embed: ({ texts }, { signal, emit }) => {
    const embed = async () => {
      const { model, backend } = reflexSide().placed.embedder;
      return { ...(await runJob(model.embed(texts), { signal, onCrash, onEvent: prefillTo(emit) })), backend };
    };
    return untilDone(embed, (losses) => recoverReflex(signal, losses));
  },
  chat: (request, { signal, emit }) => {
    const job = modelSide().placed.model.chat(request);
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
        job.resume(modelSide().placed.model);
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

async function load(request: LoadRequest, signal: AbortSignal, emit: (event: LoadProgress) => void): Promise<ModelInfo> {
  const { model, reflex, wasmUrl, engine: wishes, keep } = request;
  checkWebgpu(wishes);
  checkMemory([reflex, model].filter((file) => file !== undefined));
  const startedAt = performance.now();
  engine ??= await startEngineModule(wishes, wasmUrl);
  const { module } = engine;
  engine.model?.placed.model.free();
  if (engine.reflex) freeReflex(engine.reflex.placed);
  engine.reflex?.tasks.free();
  delete engine.model;
  delete engine.reflex;
  const options: OpenOptions = { createHash: () => new module.Sha256(), signal, onProgress: emit, keep };
  const tell = (loaded: number, total: number) => {
    emit({ phase: 'load', loaded, total });
  };
  const { variant, threads, memory } = engine;
  const howOf = ({ source: { cached, warning }, fetchedAt }: Read<unknown>) => {
    const timing = { fetchMs: fetchedAt - startedAt, loadMs: performance.now() - fetchedAt };
    return { variant, threads, cached, ...(warning !== undefined && { warning }), timing };
  };
  let loadedReflex: { readonly how: ReturnType<typeof howOf>; readonly info: ReflexInfo } | undefined;
  if (reflex) {
    const placing = { engine, request, file: reflex, options, tell, onCrash };
    const read = await placeReflex(placing);
    const { encoder, embedder: { backend, adapter } } = read.value;
    engine.reflex = { placed: read.value, placing, tasks: new TaskShelf(module, reflex.sha256) };
    const info = { id: reflex.id, sha256: reflex.sha256, ...encoder.describe(), backend, ...(adapter && { adapter }) };
    loadedReflex = { how: howOf(read), info };
  }
  if (!model) {
    if (!loadedReflex) throw new InvalidInputError('a desk without a language model needs a reflex');
    const { how, info } = loadedReflex;
    const { id, sha256, architecture, parameters, textTokens: contextTokens } = info;
    return { ...{ id, sha256, architecture, parameters, contextTokens }, backend: 'wasm', memoryBytes: memory.buffer.byteLength, ...how, reflex: info };
  }
  const placing = { engine, request, file: model, options, tell, onCrash };
  const read = await placeModel(placing);
  engine.model = { placed: read.value, placing };
  const { backend, adapter, backendReason } = read.value;
  return {
    ...{ id: model.id, sha256: model.sha256, ...read.value.model.describe(), backend, ...howOf(read) },
    ...(adapter && { adapter }),
    ...(backendReason !== undefined && { backendReason }),
    ...(loadedReflex && { reflex: loadedReflex.info }),
  } satisfies ModelInfo;
}

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

/** These need no model. */
const FILE_VERBS: ReadonlySet<Verb> = new Set(['load', 'keepModel', 'importModel']);

/** Is told when the model went elsewhere because its GPU was lost. */
export function listenForMoves(listener: (change: BackendChange) => void): void {
  onMoved = listener;
}

/** Is told when the engine trapped, and can do nothing more. */
export function listenForCrash(listener: (error: EngineCrashedError) => void): void {
  crashListeners.add(listener);
}

/** Begins to load what a call will need, unless that was done. */
export function prepare(request: LoadRequest): void {
  // Whoever calls is told of a failure.
  loadOnce(request).join().catch(() => undefined);
}

/** Answers a request, or stops what an earlier one began. */
export function receive(message: ToWorker, caller: Caller): void {
  if (message.verb === 'abort') aborts.get(keyOf(message.id, caller))?.abort();
  else void answer(message, caller);
}

/** Stops all that a caller began who is gone. */
export function forget({ name }: Pick<Caller, 'name'>): void {
  for (const [key, abort] of aborts) if (key.startsWith(`${name}:`)) abort.abort();
}

function keyOf(id: number, { name }: Caller): string {
  return `${name}:${id}`;
}

/** One load for all who want the same; what failed or was given up is begun anew. */
function loadOnce(request: LoadRequest): Joint<LoadProgress, ModelInfo> {
  wanted = request;
  if (loading && !loading.isGivenUp) return loading;
  const joint = new Joint<LoadProgress, ModelInfo>((signal, emit) => queue.run(() => load(request, signal, emit)));
  loading = joint;
  joint.result.catch(() => {
    if (loading === joint) loading = undefined;
  });
  return joint;
}

/** A module where no model is to be loaded. */
async function moduleForFiles(wasmUrl: string | undefined): Promise<StartedEngine['module']> {
  return (engine ?? (await startEngineModule({ threads: 1 }, wasmUrl))).module;
}

interface TaskSide {
  readonly encoder: Encoder;
  readonly tasks: TaskShelf;
}

/** What tasks need. */
function taskSide(): TaskSide {
  const { placed, tasks } = reflexSide();
  return { encoder: placed.encoder, tasks };
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

async function answer<V extends Verb>(message: RequestMessage<V>, caller: Caller): Promise<void> {
  const { id, verb, request } = message;
  const abort = new AbortController();
  const key = keyOf(id, caller);
  aborts.set(key, abort);
  try {
    const work = async () => {
      abort.signal.throwIfAborted();
      if (crash) throw crash;
      return handlers[verb](request, {
        signal: abort.signal,
        emit: (event) => {
          caller.post({ id, verb, event } as FromWorker);
        },
      });
    };
    if (crash) throw crash;
    if (!FILE_VERBS.has(verb) && wanted) await loadOnce(wanted).join(abort.signal);
    const response = await (STEPWISE.has(verb) || FILE_VERBS.has(verb) ? work() : queue.run(work));
    caller.post({ id, verb, response } as FromWorker);
  } catch (error) {
    const failure = error instanceof WebAssembly.RuntimeError ? noteCrash(error) : error;
    const wire = abort.signal.aborted ? { code: 'aborted', message: 'the call was aborted' } : toWireError(failure);
    caller.post({ id, error: wire });
  } finally {
    aborts.delete(key);
  }
}

/** From now on every call fails; the page drops this worker and starts another. */
export function noteCrash(cause: WebAssembly.RuntimeError): EngineCrashedError {
  crash ??= new EngineCrashedError(`the engine trapped: ${cause.message}`, { cause });
  engine = undefined;
  for (const listener of [...crashListeners]) listener(crash);
  return crash;
}

function modelSide(): NonNullable<Engine['model']> {
  if (!engine) throw new InternalError('no model is loaded');
  if (!engine.model) throw new InvalidInputError('this desk was made without a language model');
  return engine.model;
}

function reflexSide(): NonNullable<Engine['reflex']> {
  if (!engine?.reflex) throw new InvalidInputError('this desk was made without a reflex model');
  return engine.reflex;
}

/** Does it anew whenever the GPU is lost in its midst, once that is recovered from. */
async function untilDone<T>(work: () => Promise<T>, recover: (losses: number) => Promise<void>): Promise<T> {
  for (let losses = 1; ; losses += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isDeviceLost(error)) throw error;
      await recover(losses);
    }
  }
}

/** Loads the model again after its GPU was lost, so many times in one call, and says where it is now. */
async function recover(signal: AbortSignal, losses: number): Promise<void> {
  const { placed, placing } = modelSide();
  const again = await placeAgain(quietly(placing, signal), backendAfter(losses));
  if (!engine) throw new InternalError('the engine is gone');
  engine.model = { placed: again, placing };
  placed.model.free();
  onMoved({ model: 'model', backend: again.backend, reason: LOST });
}

/** The same for what `embed` takes. */
async function recoverReflex(signal: AbortSignal, losses: number): Promise<void> {
  const { placed, placing, tasks } = reflexSide();
  const again = await placeReflexAgain(quietly(placing, signal), placed, backendAfter(losses));
  if (!engine) throw new InternalError('the engine is gone');
  engine.reflex = { placed: again, placing, tasks };
  onMoved({ model: 'reflex', backend: again.embedder.backend, reason: LOST });
}

const LOST = 'the GPU device was lost';

/** What loses its GPU twice may be what the GPU cannot bear. */
function backendAfter(losses: number): Backend {
  return losses > 1 ? 'wasm' : 'webgpu';
}

/** For a call that tells no progress of loading. */
function quietly(placing: Placing, signal: AbortSignal): Placing {
  return { ...placing, options: { ...placing.options, signal, onProgress: () => undefined }, tell: () => undefined };
}
