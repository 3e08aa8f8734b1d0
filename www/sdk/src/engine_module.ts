/** Chooses and starts the WebAssembly module; its interface as the worker uses it. */
import { ModuleLoadError, UnsupportedBrowserError } from './errors.js';
import { importGlue, moduleAddress } from './glue.js';
import type {
  AdapterInfo,
  ApplyTaskRequest,
  Budget,
  ChatDelta,
  ChatRequest,
  ClassifyRequest,
  EngineWishes,
  Evaluation,
  Improvement,
  LearnProgress,
  LedgerCall,
  LedgerSummary,
  LocalClassification,
  LocalCompletion,
  LocalEmbeddings,
  ModuleVariant,
  PrefillProgress,
  Prices,
  ReflexInfo,
  TaskGuarantee,
  TaskInfo,
  Teacher,
} from './protocol.js';
import { startThreads } from './threads.js';
import { detectVariant, hasThreads } from './variant.js';

/** Incremental SHA-256. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Lower-case hex; the object is spent. */
  finish(): string;
  free(): void;
}

/** Random access to the model file; `read` fills `into` wholly or throws. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, into: Uint8Array<ArrayBuffer>): void;
}

/** What one step of a job tells. */
export type Step<Result> = PrefillProgress | LearnProgress | ChatDelta | { readonly type: 'idle' } | { readonly type: 'done'; readonly result: Result };

/** A request in progress; may be freed between steps, finished or not. */
export interface Job<Result> {
  step(): Promise<Step<Result>>;
  free(): void;
}

/** A completion that can go on with another model of the same file and module. */
export interface ChatJob extends Job<LocalCompletion> {
  resume(model: Model): void;
}

export interface Model {
  /** The GPU that the model is on. */
  adapter(): AdapterInfo | undefined;
  describe(): { readonly architecture: string; readonly parameters: number; readonly contextTokens: number; readonly memoryBytes: number };
  classify(request: ClassifyRequest): Job<LocalClassification>;
  chat(request: ChatRequest): ChatJob;
  free(): void;
}

/** What `embed` takes, wherever it computes. */
export interface Embedder {
  embed(texts: readonly string[]): Job<Omit<LocalEmbeddings, 'backend'>>;
  free(): void;
}

/** On a GPU. */
export interface GpuEncoder extends Embedder {
  adapter(): AdapterInfo | undefined;
}

/** On the CPU, where tasks are. */
export interface Encoder extends Embedder {
  describe(): Omit<ReflexInfo, 'id' | 'sha256' | 'backend' | 'adapter'>;
  learn(request: LabelledTexts & { readonly balance: boolean; readonly encoderSha256: string }): TaskJob<null>;
  apply(task: Task, request: Omit<ApplyTaskRequest, 'task'>): Job<readonly LocalClassification[]>;
  evaluate(task: Task, rows: LabelledTexts): Job<Evaluation>;
  certify(task: Task, rows: LabelledTexts, budget: Budget): TaskJob<TaskGuarantee>;
  teach(task: Task, rows: LabelledTexts, teacher: Teacher): TaskJob<null>;
  improve(task: Task, rows: LabelledTexts): TaskJob<Improvement>;
}

/** Makes a task that is to take the place of the one before. */
export interface TaskJob<Result> extends Job<Result> {
  /** That task, once the job is done. */
  task(): Task;
}

/** Texts and the right label of each. */
export interface LabelledTexts {
  readonly texts: readonly string[];
  readonly labels: readonly string[];
}

export interface Task {
  describe(): Omit<TaskInfo, 'kept' | 'earlier'>;
  recertify(budget: Budget): TaskGuarantee;
  export(): Uint8Array;
  free(): void;
}

type OnProgress = (loaded: number, total: number) => void;

/** The generated glue. */
export interface EngineModule {
  default(options: { module_or_path: WebAssembly.Module }): Promise<{ readonly memory: WebAssembly.Memory }>;
  initSync(options: { module: WebAssembly.Module; memory: WebAssembly.Memory }): unknown;
  /** Prepares for so many threads, the caller included. */
  startThreads(threads: number): void;
  /** Makes the calling worker one of the threads; does not return. */
  serveThreads(): void;
  /** Says that a thread trapped. */
  failThreads(): void;
  /** Whether this browser computes the module's dot products right. */
  isExact(): boolean;
  summariseLedger(calls: readonly LedgerCall[], prices: Prices): LedgerSummary;
  readonly Sha256: new () => Sha256;
  readonly Model: {
    load(source: ByteSource, contextTokens: number, onProgress: OnProgress): Model;
    /** Rejects where there is no adapter that will do. */
    loadOnGpu(source: ByteSource, contextTokens: number, allowSoftware: boolean, onProgress: OnProgress): Promise<Model>;
  };
  readonly Encoder: {
    load(source: ByteSource, onProgress: OnProgress): Encoder;
  };
  readonly GpuEncoder: {
    /** Rejects where there is no adapter that will do. */
    load(source: ByteSource, allowSoftware: boolean, onProgress: OnProgress): Promise<GpuEncoder>;
  };
  readonly Task: {
    open(bytes: Uint8Array, encoderSha256: string): Task;
  };
}

/** A started module: which one, and how many threads it has. */
export interface StartedEngine {
  readonly module: EngineModule;
  readonly variant: ModuleVariant;
  readonly threads: number;
  readonly memory: WebAssembly.Memory;
}

/**
 * Starts the best module this browser runs. `wasmUrl` is a folder of variants or one `.wasm` file.
 *
 * A browser may know relaxed SIMD and still compile it wrongly: the module then says so itself, and
 * the plain one is taken instead.
 */
export async function startEngineModule(wishes: EngineWishes, wasmUrl?: string): Promise<StartedEngine> {
  const found = await detectVariant(wishes);
  if (!found) throw new UnsupportedBrowserError('this browser has no WebAssembly SIMD');
  const { variant, threads } = found;
  const started = await startVariant(found, wasmUrl);
  if (started) return started;
  const plain = await startVariant({ variant: hasThreads(variant) ? 'simd-threads' : 'simd', threads }, wasmUrl);
  if (plain) return plain;
  throw new UnsupportedBrowserError('this browser computes WebAssembly SIMD wrongly');
}

/** `undefined` where the browser computes this variant wrongly. */
async function startVariant({ variant, threads }: Pick<StartedEngine, 'variant' | 'threads'>, wasmUrl?: string): Promise<StartedEngine | undefined> {
  try {
    const [module, compiled] = await Promise.all([importGlue(variant), compile(moduleAddress(variant, wasmUrl))]);
    const { memory } = await module.default({ module_or_path: compiled });
    if (!module.isExact()) return undefined;
    if (!hasThreads(variant)) return { module, variant, threads: 1, memory };
    module.startThreads(threads);
    const helpers = await startThreads(threads - 1, { variant, compiled, memory });
    return { module, variant, threads: 1 + helpers, memory };
  } catch (error) {
    throw new ModuleLoadError(`the engine's files could not be loaded: ${String(error)}`, { cause: error });
  }
}

async function compile(address: URL): Promise<WebAssembly.Module> {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address.href} answered ${response.status}`);
  // Compiling while it arrives works only with the right type, which some servers do not know.
  return response.headers.get('content-type')?.startsWith('application/wasm') === true
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}
