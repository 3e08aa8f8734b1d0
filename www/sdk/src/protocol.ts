/** The worker protocol: one map from verb to its request, its events and its response. */

/** Where an answer may come from; see the README for what each mode promises. */
export type Mode =
  | 'only_on_device'
  | 'prefer_on_device'
  | 'cascade'
  | 'prefer_in_cloud'
  | 'only_in_cloud';

/** Which WebAssembly module runs: chosen by feature detection; threads need a cross-origin isolated page. */
export type ModuleVariant = 'simd' | 'relaxed' | 'simd-threads' | 'relaxed-threads';

/** Where a model computes: on the CPU or on a GPU. */
export type Backend = 'wasm' | 'webgpu';

/** What a GPU adapter says of itself. */
export interface AdapterInfo {
  readonly name: string;
  readonly driver: string;
  /** Whether it computes on the CPU: right, but slower than `wasm`. */
  readonly isSoftware: boolean;
  /** Of WebGPU's optional features those that the kernels use where there are any: `subgroups`, `shader-f16`. */
  readonly features: readonly string[];
}

/** What the caller wants of the engine, where the browser's own choice will not do. */
export interface EngineWishes {
  /** Threads, the worker included; default by the number of cores. */
  readonly threads?: number;
  readonly moduleVariant?: ModuleVariant;
  /**
   * Default `wasm`; `webgpu` is for the language model and for `embed`; `auto` takes a GPU for the language model where one is
   * none in software, passes the self-test and is faster, else `wasm`.
   */
  readonly backend?: Backend | 'auto';
}

/** A model file: where it is, how long it is and what its SHA-256 is (hex, lower case). */
export interface ModelFile {
  readonly id: string;
  /** Absent for a file that is on the device, or nowhere. */
  readonly url?: string;
  readonly sha256: string;
  /** Length in bytes, when known beforehand. */
  readonly bytes?: number;
  /** What its parts hash to, when known beforehand; only with `bytes`. */
  readonly chunks?: ChunkHashes;
}

/** Hashes of a file's parts, which all have the same length, the last one excepted. */
export interface ChunkHashes {
  /** Length of a part. */
  readonly bytes: number;
  /** SHA-256 of each part in order, hex, lower case. */
  readonly sha256: readonly string[];
}

/** Whether a fetched model is kept on the device: where that is possible, or else not at all, or never. */
export type Keeping = 'if_possible' | 'required' | 'never';

/** Progress of `load`; all amounts are bytes. */
export interface LoadProgress {
  readonly phase: 'download' | 'verify' | 'load';
  readonly loaded: number;
  readonly total: number;
}

/** Progress of prefill in tokens, or of embedding in texts. */
export interface PrefillProgress {
  readonly type: 'prefill';
  readonly done: number;
  readonly total: number;
}

export interface LoadRequest {
  /** The language model; left out where tasks and `embed` are all that is wanted. */
  readonly model?: ModelFile;
  /** The encoder of `embed`, read first. */
  readonly reflex?: ModelFile;
  /** Capacity of the KV cache in tokens. */
  readonly contextTokens: number;
  /** Absolute URL of the folder that holds the wasm modules, or of one `.wasm` file. */
  readonly wasmUrl?: string;
  readonly engine: EngineWishes;
  /** Default `if_possible`. */
  readonly keep?: Keeping;
  /** Whether tabs that want the same share one engine; default true. */
  readonly share?: boolean;
}

/** Puts a model on the device without loading it. */
export interface KeepRequest {
  readonly model: ModelFile;
  readonly wasmUrl?: string;
}

/** Takes a model from a file of the user's. */
export interface ImportRequest {
  readonly file: Blob;
  /** What it must be, where that is known. */
  readonly sha256?: string;
  readonly id: string;
  readonly wasmUrl?: string;
}

/** What is loaded and how it runs: the language model, or of a desk without one its reflex. */
export interface ModelInfo {
  readonly id: string;
  readonly sha256: string;
  readonly architecture: string;
  readonly parameters: number;
  /** Tokens that it reads at the most. */
  readonly contextTokens: number;
  readonly backend: Backend;
  /** The GPU, where the model is on one. */
  readonly adapter?: AdapterInfo;
  /** With `auto`: why the model is not on a GPU, for people. */
  readonly backendReason?: string;
  readonly variant: ModuleVariant;
  readonly threads: number;
  /** WebAssembly memory in use, bytes. */
  readonly memoryBytes: number;
  /** False where the file could not be kept on the device and will be fetched again. */
  readonly cached: boolean;
  /** Why `cached` is false, for people. */
  readonly warning?: string;
  readonly timing: { readonly fetchMs: number; readonly loadMs: number };
  /** The encoder of `embed`, where there is one. */
  readonly reflex?: ReflexInfo;
}

/** The encoder that is loaded. */
export interface ReflexInfo {
  readonly id: string;
  readonly sha256: string;
  readonly architecture: string;
  readonly parameters: number;
  /** Length of its vectors. */
  readonly dimensions: number;
  /** Longest text it reads, in tokens. */
  readonly textTokens: number;
  /** Where `embed` computes. Tasks compute on the CPU wherever that is. */
  readonly backend: Backend;
  /** Of the GPU that `embed` computes on. */
  readonly adapter?: AdapterInfo;
}

/** A label of a classification; the description, when given, is shown to the model. */
export interface Label {
  readonly name: string;
  readonly description?: string;
}

/** What the cascade allows and demands of this request. */
export interface Policy {
  readonly mode: Mode;
  /** Confidence below this is escalated in mode `cascade`; 0 to 1. */
  readonly threshold: number;
}

/** What the policy says about a local answer. */
export interface Decision {
  readonly action: 'answer' | 'escalate';
  readonly reason: 'confident' | 'low_confidence' | 'out_of_scope' | 'device_only' | 'device_preferred' | 'cloud_preferred' | 'cloud_only';
}

/** Tokens on the device. */
export interface Usage {
  readonly promptTokens: number;
  /** Prompt tokens that were already in the KV cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
}

/** Milliseconds of each part on the device. */
export interface LocalTiming {
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly totalMs: number;
}

export interface ClassifyRequest {
  readonly text: string;
  readonly labels: readonly Label[];
  /** What the texts are, in a few words, shown to the model; default "customer message". */
  readonly subject?: string;
  /** What is asked of the text, whose answers the labels are; by default what it is about. */
  readonly question?: string;
  /** Whether the model is shown a made-up text for each label; default true. */
  readonly examples?: boolean;
  readonly policy: Policy;
}

/** How likely a label is. */
export interface LabelProbability {
  readonly label: string;
  /** Share of this label among the given labels, 0 to 1; all sum to 1. */
  readonly probability: number;
}

/** What the device answered, whoever was believed in the end. */
export interface LocalClassification {
  readonly value: string;
  /** In the order of the request's labels. */
  readonly probabilities: readonly LabelProbability[];
  readonly confidence: number;
  readonly decision: Decision;
  readonly usage: Usage;
  readonly timing: LocalTiming;
  /** Where a trained task answered. */
  readonly trained?: TrainedSigns;
}

/** What a trained task says beside its probabilities. */
export interface TrainedSigns {
  /** How unlike the examples the text is: 0 on average, larger is stranger. */
  readonly strangeness: number;
  /** Stranger than 99% of texts like the examples. */
  readonly isOutOfScope: boolean;
  /** The task's guarantee, where the threshold in use is within it. */
  readonly guarantee?: TaskGuarantee;
}

/** How many errors are allowed, and how sure one is to be of it. */
export interface Budget {
  /** `added`: share of all texts answered here and wrong; `selective`: share of wrong answers among those given here. */
  readonly risk: 'added' | 'selective';
  readonly maxError: number;
  readonly confidence: number;
  /** How much more frequent any kind of text may be than among the calibration examples. */
  readonly shift: number;
}

/** What calibration examples allow; where `certified` is null there is no guarantee. */
export interface TaskGuarantee {
  readonly budget: Budget;
  /** Calibration examples. */
  readonly rows: number;
  /** The fewest that the budget takes, all of them right. */
  readonly neededRows: number;
  readonly certified: {
    /** Least confidence of an answer that stands. */
    readonly threshold: number;
    /** Calibration examples answered on the device, and wrong ones among them. */
    readonly accepted: number;
    readonly errors: number;
    /** Upper bound of the share of errors. */
    readonly bound: number;
  } | null;
}

/** What a task has learnt. */
export interface TaskInfo {
  /** False where the browser cannot keep it, and it is gone with the desk. */
  readonly kept: boolean;
  readonly labels: readonly string[];
  readonly report: {
    readonly examples: number;
    /** Examples that were held out once, and the share of them that was answered right. */
    readonly heldOut: number;
    readonly heldOutAccuracy: number;
    readonly strength: number;
    readonly neighbourShare: number;
    readonly temperature: number;
  };
  readonly guarantee?: TaskGuarantee;
  /** Vectors of texts that are kept: to certify on, to compare a challenger on, and to be learnt from by it. */
  readonly memory: { readonly certify: number; readonly compare: number; readonly learn: number };
  /** Earlier versions that `rollback` can go back to. */
  readonly earlier: number;
}

/** Champion and challenger on rows that neither has learnt from. */
export interface Comparison {
  readonly rows: number;
  /** Rows that only the challenger answers right. */
  readonly gained: number;
  /** Negative flips: rows that only the champion answers right. */
  readonly lost: number;
  /** McNemar's exact test: the probability of so many gains, or of so many losses, were both equally good. */
  readonly pBetter: number;
  readonly pWorse: number;
}

/** What became of a challenger. */
export interface Improvement {
  /** `promoted`: it answers from now on; `not_shown_better`; `worse`: on the examples that certify. */
  readonly outcome: 'promoted' | 'not_shown_better' | 'worse';
  /** Texts that it learnt from in addition. */
  readonly learnt: number;
  /** On fresh texts. */
  readonly fresh: Comparison;
  /** On the examples of `calibrate`. */
  readonly certifying: Comparison;
  /** What is promised from now on. */
  readonly guarantee: TaskGuarantee | null;
}

/** Who says what a text's label is. */
export type Teacher = 'person' | 'cloud';

/** How good a task is on labelled examples. */
export interface Evaluation {
  readonly rows: number;
  readonly accuracy: number;
  readonly macroF1: number;
  /** Expected calibration error, in bins of equal width and of equally many rows. */
  readonly ece: number;
  readonly eceEqualMass: number;
  readonly brier: number;
  readonly logLoss: number;
  /** Area under the risk-coverage curve. */
  readonly aurc: number;
  /** Of answering only what is at least so sure; at most a hundred points. */
  readonly curve: readonly { readonly threshold: number; readonly coverage: number; readonly selectiveRisk: number; readonly addedRisk: number }[];
  /** Rows by right and answered label, in the order of the task's labels. */
  readonly confusion: readonly (readonly number[])[];
}

/** Share of the learning that is done, after all texts were read. */
export interface LearnProgress {
  readonly type: 'learning';
  readonly share: number;
}

export interface TaskRequest {
  readonly task: string;
}

export interface TaskExamples extends TaskRequest {
  readonly texts: readonly string[];
  /** The label of each text. */
  readonly labels: readonly string[];
}

export interface LearnTaskRequest extends TaskExamples {
  /** Whether every label counts the same, however many examples it has. */
  readonly balance: boolean;
}

export interface ApplyTaskRequest extends TaskRequest {
  readonly texts: readonly string[];
  readonly policy: Policy;
  /** Whether the task's certified threshold, where there is one, goes before the policy's. */
  readonly useCertified: boolean;
}

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop: readonly string[];
  /** How many alternatives to report at each token; `undefined` reports no log-probabilities. */
  readonly topLogprobs?: number;
  readonly policy: Policy;
}

/** OpenAI's shape: natural log-probability and the token's raw bytes. */
export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly { readonly token: string; readonly logprob: number; readonly bytes: readonly number[] }[];
}

/** The GPU was lost, and the work goes on elsewhere. */
export interface BackendChange {
  /** Which of the desk's models it was. */
  readonly model: 'model' | 'reflex';
  readonly backend: Backend;
  /** What happened, for people. */
  readonly reason: string;
}

/** A piece of streamed text; always whole characters. */
export interface ChatDelta {
  readonly type: 'delta';
  readonly text: string;
  /** Mean token probability so far (geometric), 0 to 1. */
  readonly confidence: number;
  /** Tokens generated so far. */
  readonly tokens: number;
  readonly logprobs: readonly TokenLogprob[];
}

/** What the device wrote, whoever was believed in the end. */
export interface LocalCompletion {
  readonly text: string;
  readonly finishReason: 'stop' | 'length';
  /** Geometric mean of the chosen tokens' probabilities, 0 to 1. */
  readonly confidence: number;
  readonly decision: Decision;
  readonly logprobs: readonly TokenLogprob[];
  readonly usage: Usage;
  readonly timing: LocalTiming;
}

export interface EmbedRequest {
  readonly texts: readonly string[];
}

/** A text as a vector. */
export interface Embedding {
  /** Of length 1, so that the dot product of two is their cosine. */
  readonly vector: Float32Array<ArrayBuffer>;
  /** Tokens read. */
  readonly tokens: number;
  /** Whether the text was longer than the encoder reads, and its end was left out. */
  readonly isTruncated: boolean;
}

/** Vectors of texts. */
export interface LocalEmbeddings {
  /** In the order of the texts. */
  readonly embeddings: readonly Embedding[];
  /** Where they were computed. */
  readonly backend: Backend;
  /** Milliseconds on the device. */
  readonly totalMs: number;
}

/** One call, as the ledger counts it. */
export interface LedgerCall {
  /** Bytes of the request that the cloud was sent, or would have been. */
  readonly bytes: number;
  readonly wasSent: boolean;
  /** Where the cloud was asked and said so. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
  readonly totalMs: number;
  readonly cloudMs?: number;
}

/** What the cloud costs, for a million tokens, in any currency. */
export interface Prices {
  readonly inputPerMillion: number;
  readonly outputPerMillion: number;
}

/** The calls as they were, or had the cloud answered all. */
export interface LedgerWorld {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly money: number;
  /** Mean milliseconds of a call. */
  readonly meanMs: number;
}

/** What was spent and what was saved. */
export interface LedgerSummary {
  readonly calls: number;
  /** Calls that left the device. */
  readonly sent: number;
  /** Calls whose tokens the cloud reported. */
  readonly measured: number;
  readonly asRun: LedgerWorld;
  /** Null until the cloud has reported tokens once. */
  readonly allCloud: LedgerWorld | null;
  readonly saving: {
    readonly money: number;
    /** Share of what the cloud alone would have cost. */
    readonly share: number;
    /** Where the share lies; null with fewer than 10 measured calls. */
    readonly interval: { readonly low: number; readonly high: number; readonly confidence: number } | null;
  } | null;
}

/** Verb -> what is asked, what is told on the way, what is answered. */
export interface Protocol {
  load: { request: LoadRequest; event: LoadProgress; response: ModelInfo };
  keepModel: { request: KeepRequest; event: LoadProgress; response: null };
  importModel: { request: ImportRequest; event: LoadProgress; response: { readonly sha256: string } };
  classify: { request: ClassifyRequest; event: PrefillProgress; response: LocalClassification };
  embed: { request: EmbedRequest; event: PrefillProgress; response: LocalEmbeddings };
  chat: { request: ChatRequest; event: PrefillProgress | ChatDelta; response: LocalCompletion };
  learnTask: { request: LearnTaskRequest; event: PrefillProgress | LearnProgress; response: TaskInfo };
  applyTask: { request: ApplyTaskRequest; event: PrefillProgress; response: readonly LocalClassification[] };
  evaluateTask: { request: TaskExamples; event: PrefillProgress; response: Evaluation };
  calibrateTask: { request: TaskExamples & { readonly budget: Budget }; event: PrefillProgress; response: TaskGuarantee };
  recalibrateTask: { request: TaskRequest & { readonly budget: Budget }; event: never; response: TaskGuarantee };
  teachTask: { request: TaskExamples & { readonly teacher: Teacher }; event: PrefillProgress; response: TaskInfo };
  improveTask: { request: TaskExamples; event: PrefillProgress | LearnProgress; response: Improvement };
  rollbackTask: { request: TaskRequest; event: never; response: TaskInfo };
  describeTask: { request: TaskRequest; event: never; response: TaskInfo | null };
  exportTask: { request: TaskRequest; event: never; response: Uint8Array<ArrayBuffer> };
  importTask: { request: TaskRequest & { readonly bytes: Uint8Array<ArrayBuffer> }; event: never; response: TaskInfo };
  forgetTask: { request: TaskRequest; event: never; response: null };
  ledger: { request: { readonly calls: readonly LedgerCall[]; readonly prices: Prices }; event: never; response: LedgerSummary };
}

export type Verb = keyof Protocol;

/** Errors cross the border as data and are rebuilt as classes on the other side. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  /** Extra facts of the code, e.g. `missingBytes` of `storage_full`. */
  readonly details?: Readonly<Record<string, string | number>>;
}

/** Page to worker. */
export type ToWorker =
  | { [V in Verb]: { readonly id: number; readonly verb: V; readonly request: Protocol[V]['request'] } }[Verb]
  | { readonly id: number; readonly verb: 'abort' };

/** Worker to page. */
export type FromWorker =
  | { [V in Verb]: { readonly id: number; readonly verb: V; readonly event: Protocol[V]['event'] } }[Verb]
  | { [V in Verb]: { readonly id: number; readonly verb: V; readonly response: Protocol[V]['response'] } }[Verb]
  | { readonly id: number; readonly error: WireError }
  | { readonly moved: BackendChange }
  /** The worker can do nothing more; the next call needs another one. */
  | { readonly died: WireError };
