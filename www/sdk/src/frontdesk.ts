/** The desk: creates an engine, answers by the mode's rules, and says where each answer came from. */
import { ChunkMaker, toCompletion } from './answers.js';
import { availability } from './availability.js';
import { askStreaming, askWhole } from './cascade.js';
import {
  type ChatCompletionRequest,
  checkChatRequest,
  checkContextTokens,
  checkBackend,
  checkKeeping,
  checkMode,
  checkModuleVariant,
  checkOptions,
  checkText,
  checkThreads,
  checkThreshold,
} from './checks.js';
import { classifyTexts } from './classifying.js';
import { EngineClient } from './client.js';
import { decideAll } from './decide.js';
import { checkDecideRequest } from './decide_checks.js';
import type { DecideQuestions, DecideRequest, DecideResponse } from './decide_shapes.js';
import { DestroyedError, InvalidInputError, type Receipt, UnsupportedBrowserError } from './errors.js';
import { IdleImprover, type OnImproved } from './idle_improver.js';
import { checkPrices, Ledger } from './ledger.js';
import { missing } from './missing.js';
import { absolute, type ModelChoice, resolveModel } from './models.js';
import { askPersistence } from './persistence.js';
import type { Backend, BackendChange, ChatDelta, ChatRequest, Keeping, Label, LedgerSummary, LoadProgress, LocalEmbeddings, Mode, ModelInfo, ModuleVariant, Policy, PrefillProgress, Prices, TaskInfo } from './protocol.js';
import type { CloudProvider } from './providers/provider.js';
import type { ChatCompletion, ChatCompletionChunk, Classification } from './results.js';
import { Run } from './run.js';
import { type AnswerOrReceipt, Task } from './task.js';

/** How a desk is made; all may be left out. */
export interface CreateOptions {
  /**
   * Default `smollm2-135m-instruct`. Not fetched in mode `only_in_cloud`. `null` is none: the desk has its `reflex` alone, so
   * tasks that have learnt answer and `embed` works; whatever takes a language model rejects with `invalid_input`.
   */
  readonly model?: ModelChoice | null;
  /** The encoder of `embed`, e.g. `minilm-l6`; none by default. Fetched and read before the model. */
  readonly reflex?: ModelChoice;
  /** A folder of your own that holds the manifest's model files under their names. */
  readonly modelBaseUrl?: string;
  /**
   * Whether fetched models stay on the device. By default they do where that is possible; elsewhere (private windows, no
   * room) they are held in memory, `info.cached` is false and `info.warning` says why. `required` rejects there, with
   * `storage_full` and `details.missingBytes` where room is missing; models that were used least recently make way first.
   */
  readonly keep?: Keeping;
  /**
   * Whether this desk uses the engine of another desk of this origin, in whichever tab, that was made with the same models and
   * settings; default true. One model is in memory then, and calls of all tabs take turns. When the tab that has the engine
   * closes, another one takes over: what was running there is done again, but for half-told streams and changes of tasks,
   * which fail with `worker_died`.
   */
  readonly share?: boolean;
  /** Default `cascade`. A desk made with `only_on_device` cannot be told otherwise later. */
  readonly mode?: Mode;
  /** Confidence (0 to 1) below which `cascade` asks the cloud; default 0.6. */
  readonly threshold?: number;
  /** Who is asked when the device is unsure; needed by `prefer_in_cloud` and `only_in_cloud`. */
  readonly cloud?: CloudProvider;
  /** Tokens that prompt and answer may have together; default 2048. */
  readonly contextTokens?: number;
  /**
   * Threads of the engine, 1 to 64; default by the number of cores. More than one needs a
   * cross-origin isolated page; elsewhere there is one.
   */
  readonly threads?: number;
  /** Which WebAssembly module runs, where feature detection shall not choose. */
  readonly moduleVariant?: ModuleVariant;
  /**
   * Where the language model and `embed` compute; default `wasm`. Tasks always compute on the CPU, and with `auto` so does `embed`:
   * `info.reflex.backend` says where. `webgpu` fails where there is no adapter, `auto` then takes `wasm`, and
   * also where the adapter is software, fails its self-test or is slower than the CPU; `info.backendReason` says why. A GPU that is lost is
   * opened anew, or else the work goes on on the CPU.
   *
   * What `auto` compares is the time of an answer of 32 tokens to a prompt of about 40, on the CPU with this desk's threads and on the
   * GPU: the time to the first token, and 31 times the mean of the 7 after it, or of fewer where the GPU is far behind. An answer of the same
   * length comes before and does not count. That happens when a model is first loaded, which then reads it twice and has both in memory, and
   * is kept on the device for this model, adapter, package version, module and number of threads; later loads go straight to
   * the faster one.
   */
  readonly backend?: Backend | 'auto';
  /** Is told when a GPU was lost in the midst of work, and which model is where now. */
  readonly onBackendChange?: (change: BackendChange) => void;
  /** Where the WebAssembly files are, if not beside this package's worker: a folder with a subfolder for each variant, or one `.wasm` file. */
  readonly wasmUrl?: string;
  /** Where the worker's file is, if not beside this module; must be of the page's origin. */
  readonly workerUrl?: string;
  /**
   * Is given a target that dispatches `ProgressEvent`s while the model is fetched
   * (`downloadprogress`) and read (`loadprogress`); `loaded` and `total` are bytes.
   */
  readonly monitor?: (target: LoadMonitor) => void;
  /**
   * Is told of each request just before it is sent, with its exact body: also where the call is
   * aborted or fails later and so brings no answer that could carry the receipt.
   */
  readonly onSend?: (receipt: Receipt) => void;
  /**
   * Keeps what the cloud answers to texts of a task that escalated, as lessons for `task.improve()`: a vector of the text
   * and the label, on the device. Default false.
   */
  readonly learnFromCloud?: boolean;
  /**
   * Where given, tasks improve by themselves: while the page is idle, once there are 20 fresh texts to compare on. Is told
   * what became of each attempt.
   */
  readonly onImproved?: OnImproved;
  /** Stops the creation, downloads included. */
  readonly signal?: AbortSignal;
}

/** Dispatches `downloadprogress` while a model is fetched and `loadprogress` while it is read; amounts are bytes. */
export interface LoadMonitor extends EventTarget {
  addEventListener(type: 'downloadprogress' | 'loadprogress', listener: (event: ProgressEvent) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(...listening: Parameters<EventTarget['addEventListener']>): void;
}

/** Options that every call takes; they go before the desk's own. */
export interface CallOptions {
  readonly mode?: Mode;
  /** 0 to 1. */
  readonly threshold?: number;
  /** The call rejects with `signal.reason`, at once. */
  readonly signal?: AbortSignal;
  /** Is told of this call's request in the place of the desk's own `onSend`. */
  readonly onSend?: (receipt: Receipt) => void;
}

/** What `classify` chooses from, and how. */
export interface ClassifyOptions extends CallOptions {
  /** 2 to 256, as names or with descriptions that are shown to the model; may be left out where a task has learnt them. */
  readonly labels?: readonly (string | Label)[];
  /**
   * The task that answers, once it has learnt: milliseconds instead of tenths of seconds, with its certified threshold
   * in the place of the desk's. A task that has learnt nothing leaves the answer to the model, which needs `labels`.
   */
  readonly task?: string;
  /** Goes before the desk's own `learnFromCloud`. */
  readonly learnFromCloud?: boolean;
  /** What the texts are, in a few words; default "customer message". */
  readonly subject?: string;
  /** Tokens of the prompt done and in all; of several texts, the texts. */
  readonly onProgress?: (progress: PrefillProgress) => void;
}

/** Options of `decide`. */
export interface DecideOptions extends CallOptions {
  /**
   * Tasks that answer choices, by the questions' ids; a task's labels must be the question's. One that has learnt nothing
   * leaves the answer to the model.
   */
  readonly tasks?: Readonly<Record<string, string>>;
  /** Goes before the desk's own `learnFromCloud`. */
  readonly learnFromCloud?: boolean;
  /** Tokens of the prompt done and in all; of several answers, the answers. */
  readonly onProgress?: (progress: PrefillProgress) => void;
}

/** Options of `embed`. */
export interface EmbedOptions {
  /** The call rejects with `signal.reason`, at once. */
  readonly signal?: AbortSignal;
  /** Texts done and in all. */
  readonly onProgress?: (progress: PrefillProgress) => void;
}

/** An async iterable of chunks; may be awaited first, as with OpenAI's client. Leaving the loop stops the work. */
export type ChatCompletionStream = Promise<AsyncIterable<ChatCompletionChunk>> & AsyncIterable<ChatCompletionChunk>;

/** Chat in the shape of OpenAI's client. */
export interface ChatCompletions {
  /** Streams. In `cascade` the first 8 tokens are held back, and decide between device and cloud. */
  create(request: ChatCompletionRequest & { readonly stream: true }, options?: CallOptions): ChatCompletionStream;
  /** Answers as a whole, and in `cascade` decides on the whole. */
  create(request: ChatCompletionRequest & { readonly stream?: false }, options?: CallOptions): Promise<ChatCompletion>;
}

interface DeskParts {
  /** What it was made with. */
  readonly options: Omit<CreateOptions, 'signal' | 'monitor'>;
  readonly mode: Mode;
  readonly threshold: number;
  readonly cloud: CloudProvider | undefined;
  readonly client: EngineClient | undefined;
  readonly info: ModelInfo | undefined;
  readonly onSend: ((receipt: Receipt) => void) | undefined;
  readonly learnFromCloud: boolean;
  readonly onImproved: OnImproved | undefined;
}

const DEFAULT_THRESHOLD = 0.6;
const DEFAULT_CONTEXT_TOKENS = 2048;

/** A model in the visitor's browser, and the way to the back office. Made with `Frontdesk.create()`. */
export class Frontdesk {
  /** Tells whether a model can run here; downloads nothing. */
  static readonly availability = availability;

  /** What is loaded; undefined in `only_in_cloud`, where nothing is. */
  readonly info: ModelInfo | undefined;
  /** Chat in OpenAI's shapes; each answer has a further field `frontdesk` that says where it came from. */
  readonly chat: { readonly completions: ChatCompletions };
  readonly #parts: DeskParts;
  readonly #ledger = new Ledger();
  readonly #improver: IdleImprover | undefined;
  /** Texts that answers and receipts are about, for as long as the page holds those. */
  readonly #texts = new WeakMap<AnswerOrReceipt, string>();
  #destroyed = false;

  private constructor(parts: DeskParts) {
    this.#parts = parts;
    this.info = parts.info;
    this.#improver = parts.client && parts.onImproved && new IdleImprover(parts.client, parts.onImproved);
    const create = ((request: ChatCompletionRequest, options: CallOptions = {}) =>
      (request as ChatCompletionRequest | null | undefined)?.stream === true ? this.#stream(request, options) : this.#complete(request, options)) as ChatCompletions['create'];
    this.chat = { completions: { create } };
  }

  /**
   * Fetches and verifies the model unless it is on the device, and loads it in a worker. A kept file
   * that turns out to be damaged is fetched once more.
   * Rejects with a `FrontdeskError` (codes in the README), or with `signal.reason` when aborted.
   */
  static async create(options: CreateOptions = {}): Promise<Frontdesk> {
    const { signal, monitor, ...lasting } = checkOptions(options);
    const { cloud, onSend, onImproved, learnFromCloud = false } = lasting;
    const mode = checkMode(options.mode ?? 'cascade');
    const threshold = checkThreshold(options.threshold ?? DEFAULT_THRESHOLD);
    const parts = { options: lasting, mode, threshold, cloud, onSend, learnFromCloud, onImproved };
    signal?.throwIfAborted();
    if (mode === 'only_in_cloud') {
      if (!cloud) throw new InvalidInputError('mode only_in_cloud needs a cloud');
      return new Frontdesk({ ...parts, client: undefined, info: undefined });
    }
    if (options.model === null && options.reflex === undefined) throw new InvalidInputError('a desk without a language model needs a reflex');
    if (mode === 'prefer_in_cloud' && !cloud) throw new InvalidInputError('mode prefer_in_cloud needs a cloud');
    const client = makeClient(options);
    const target = new EventTarget() as LoadMonitor;
    monitor?.(target);
    try {
      if (options.keep !== 'never') await askPersistence();
      const info = await client.load({ signal, onEvent: (progress) => target.dispatchEvent(progressEvent(progress)) });
      return new Frontdesk({ ...parts, client, info });
    } catch (error) {
      // The caller is told at once; the worker may need a moment to remove half a download.
      void client.close();
      throw error;
    }
  }

  /**
   * Chooses one of the labels, for one text or for each of several. Rejects with a `FrontdeskError` (codes in the
   * README), or with `signal.reason` when aborted. In all modes but `only_in_cloud` a failing cloud is no error:
   * the device's answer comes with `reason: 'cloud_failed'` and `cloudError`.
   */
  classify(text: string, options: ClassifyOptions): Promise<Classification>;
  /** Many texts share passes where a task answers; at most 4 wait for the cloud at a time. */
  classify(texts: readonly string[], options: ClassifyOptions): Promise<Classification[]>;
  async classify(given: string | readonly string[], options: ClassifyOptions): Promise<Classification | Classification[]> {
    const sides = this.#sidesFor(options);
    const { threshold, learnFromCloud = this.#parts.learnFromCloud, ...rest } = options;
    const texts = Array.isArray(given) ? (given as readonly string[]) : [given as string];
    const question = { ...rest, texts, learnFromCloud, ownThreshold: threshold !== undefined };
    const onTaught = (task: string, info: TaskInfo) => this.#improver?.note(task, info);
    const answers = await classifyTexts(question, { ...sides, info: this.info, ledger: this.#ledger, onTaught });
    for (const [index, answer] of answers.entries()) this.#remember(answer, texts[index] ?? '');
    return Array.isArray(given) ? answers : (answers[0] ?? missing());
  }

  /**
   * Answers questions about a state, with a probability for each option: whether it is so (`noul`), which of these it is
   * (`choice`), how much it is (`score`). Each question is asked as a classification is, by the same rules of the mode, and
   * with the same errors; in `cascade` the threshold is compared with the probability of the likeliest option.
   */
  decide<const Questions extends DecideQuestions>(request: DecideRequest<Questions>, options?: DecideOptions): Promise<DecideResponse<Questions>>;
  /** The responses in the order of the requests; where one fails, the others are given up. */
  decide<const Questions extends DecideQuestions>(requests: readonly DecideRequest<Questions>[], options?: DecideOptions): Promise<DecideResponse<Questions>[]>;
  async decide(given: DecideRequest | readonly DecideRequest[], options: DecideOptions = {}): Promise<DecideResponse | DecideResponse[]> {
    const sides = this.#sidesFor(options);
    const { threshold, learnFromCloud = this.#parts.learnFromCloud, tasks, signal, onProgress } = options;
    const requests = (Array.isArray(given) ? (given as readonly DecideRequest[]) : [given as DecideRequest]).map(checkDecideRequest);
    const onTaught = (task: string, info: TaskInfo) => this.#improver?.note(task, info);
    const onAnswer = (answer: Classification, state: string) => {
      this.#remember(answer, state);
    };
    const deciding = { tasks, signal, onProgress, learnFromCloud, onAnswer, ownThreshold: threshold !== undefined };
    const responses = await decideAll(requests, deciding, { ...sides, info: this.info, ledger: this.#ledger, onTaught });
    return Array.isArray(given) ? responses : (responses[0] ?? missing());
  }

  /**
   * What all calls so far have cost at these prices, what they would have cost had the cloud answered every one, and
   * what was saved. Tokens that the cloud did not report are estimated from those that it did.
   */
  async ledger(prices: Prices): Promise<LedgerSummary> {
    if (this.#destroyed) throw new DestroyedError('the desk was destroyed');
    const { client } = this.#parts;
    if (!client) throw new InvalidInputError('this desk was made with only_in_cloud; it saves nothing');
    return client.call('ledger', { calls: this.#ledger.calls, prices: checkPrices(prices) });
  }

  /**
   * Turns texts into vectors of length 1 with the reflex model, always on the device: on a GPU where the desk was made with
   * `webgpu`. Many at once share passes; where the GPU is lost they begin anew. Rejects with a `FrontdeskError` (codes in the
   * README), or with `signal.reason` when aborted.
   */
  async embed(texts: readonly string[], options: EmbedOptions = {}): Promise<LocalEmbeddings> {
    const { signal, onProgress } = checkOptions(options);
    if (this.#destroyed) throw new DestroyedError('the desk was destroyed');
    const { client } = this.#parts;
    if (!client || !this.info?.reflex) throw new InvalidInputError('this desk was made without a reflex model');
    if (!Array.isArray(texts)) throw new InvalidInputError('texts must be a list of strings');
    return client.call('embed', { texts: texts.map(checkText) }, { signal, onEvent: onProgress });
  }

  /**
   * A task that learns from examples with the reflex model, by its name: what it has learnt is kept on the device
   * and answers in `classify(text, { task: name })`.
   */
  task(name: string): Task {
    if (this.#destroyed) throw new DestroyedError('the desk was destroyed');
    const { client } = this.#parts;
    if (!client || !this.info?.reflex) throw new InvalidInputError('this desk was made without a reflex model');
    const onTaught = (info: TaskInfo) => this.#improver?.note(name, info);
    return new Task(client, name, { textOf: (about) => this.#texts.get(about), onTaught });
  }

  /**
   * Another desk with the same options, but for those that are given and not undefined; with the same models it has the same engine, unless
   * one of them does not share. Each is destroyed by itself. A desk of `only_on_device` has no looser clones.
   */
  async clone(changes: CreateOptions = {}): Promise<Frontdesk> {
    if (this.#destroyed) throw new DestroyedError('the desk was destroyed');
    const { options, mode } = this.#parts;
    const given = Object.entries(checkOptions(changes)).filter(([, value]) => value !== undefined);
    const changed: CreateOptions = { ...options, ...Object.fromEntries(given) };
    if (mode === 'only_on_device' && changed.mode !== mode) throw new InvalidInputError('this desk was made with only_on_device; no clone can loosen that');
    return Frontdesk.create(changed);
  }

  /** Ends the worker and frees its memory; calls in flight and later ones reject. May be called again. */
  async destroy(): Promise<void> {
    this.#destroyed = true;
    await this.#parts.client?.close();
  }

  #remember(answer: Classification, text: string): void {
    for (const about of [answer, answer.receipt]) if (about) this.#texts.set(about, text);
  }

  async #complete(request: ChatCompletionRequest, options: CallOptions): Promise<ChatCompletion> {
    const { policy, client, cloud, onSend } = this.#sidesFor(options);
    const checked = checkChatRequest(request);
    const { signal } = options;
    const run = new Run(signal, onSend);
    let outcome;
    try {
      outcome = await askWhole(policy.mode, run, {
        device: client && (() => client.call('chat', { ...checked, policy }, { signal })),
        cloud: cloud && (() => cloud.chat(checked, { ...(signal && { signal }), onSend: run.onSend })),
      });
    } finally {
      this.#ledger.note(run, { size: chatSize(checked, cloud), ...(outcome && { outcome }) });
    }
    return toCompletion(outcome, run, { info: this.info, logprobs: request.logprobs === true });
  }

  #stream(request: ChatCompletionRequest, options: CallOptions): ChatCompletionStream {
    // Checked inside a promise, so that all errors arrive the same way.
    const chunks = Promise.resolve().then(() => {
      const sides = this.#sidesFor(options);
      return this.#chunks(checkChatRequest(request), { ...sides, signal: options.signal });
    });
    const iterate = async function* () {
      yield* await chunks;
    };
    return Object.assign(chunks, { [Symbol.asyncIterator]: iterate });
  }

  async *#chunks(
    request: Omit<ChatRequest, 'policy'>,
    { policy, client, cloud, onSend, signal: outer }: Sides & { readonly signal: AbortSignal | undefined },
  ): AsyncGenerator<ChatCompletionChunk, void> {
    const run = new Run(outer, onSend);
    const chunks = new ChunkMaker({ logprobs: request.topLogprobs !== undefined });
    const pieces = askStreaming(policy, run, {
      device:
        client &&
        ((push, signal) =>
          client.call('chat', { ...request, policy }, { signal, onEvent: (event) => { if (isDelta(event)) push(event); } })),
      cloud: cloud && ((push, signal) => cloud.chat(request, { signal, onSend: run.onSend, onDelta: push })),
    });
    let outcome: Awaited<ReturnType<typeof pieces.next>>['value'] | undefined;
    try {
      let first = true;
      for (;;) {
        const next = await pieces.next();
        if (first) yield chunks.first();
        first = false;
        if (next.done) {
          outcome = next.value;
          yield chunks.last(next.value, run, this.info);
          return;
        }
        yield chunks.piece(next.value);
      }
    } finally {
      const size = chatSize(request, cloud);
      this.#ledger.note(run, { size, ...(outcome && 'source' in outcome && { outcome }) });
      await pieces.return(undefined as never);
    }
  }

  /** Who may be asked in this call. A cloud that the mode forbids is not even handed on. */
  #sidesFor(options: CallOptions): Sides {
    const { mode: ownMode, threshold: ownThreshold, onSend = this.#parts.onSend } = checkOptions(options);
    if (this.#destroyed) throw new DestroyedError('the desk was destroyed');
    const { client, cloud, ...desk } = this.#parts;
    const mode = ownMode === undefined ? desk.mode : checkMode(ownMode);
    const threshold = ownThreshold === undefined ? desk.threshold : checkThreshold(ownThreshold);
    if (desk.mode === 'only_on_device' && mode !== 'only_on_device') {
      throw new InvalidInputError('this desk was made with only_on_device; no call can loosen that');
    }
    if (!client && mode !== 'only_in_cloud') throw new InvalidInputError('this desk was made with only_in_cloud; it has no model');
    if (!cloud && (mode === 'only_in_cloud' || mode === 'prefer_in_cloud')) throw new InvalidInputError(`mode ${mode} needs a cloud`);
    return { policy: { mode, threshold }, client, onSend, cloud: mode === 'only_on_device' ? undefined : cloud };
  }
}

/** Bytes of the request that the cloud would get. */
function chatSize(request: Omit<ChatRequest, 'policy'>, cloud: CloudProvider | undefined): number {
  return cloud?.sizeOf?.(request) ?? new TextEncoder().encode(JSON.stringify(request.messages)).byteLength;
}

interface Sides {
  readonly policy: Policy;
  readonly client: EngineClient | undefined;
  readonly cloud: CloudProvider | undefined;
  readonly onSend: ((receipt: Receipt) => void) | undefined;
}

function makeClient({ model, reflex, modelBaseUrl, keep, share, contextTokens, threads, moduleVariant, backend, onBackendChange, wasmUrl, workerUrl }: CreateOptions): EngineClient {
  if (typeof Worker === 'undefined') throw new UnsupportedBrowserError('a model runs in a browser, and here is no Worker; only_in_cloud needs none');
  return new EngineClient({
    onBackendChange,
    ...(workerUrl !== undefined && { workerUrl: absolute(workerUrl) }),
    load: {
      ...(model !== null && { model: resolveModel(model, modelBaseUrl) }),
      ...(reflex !== undefined && { reflex: resolveModel(reflex, modelBaseUrl) }),
      contextTokens: checkContextTokens(contextTokens ?? DEFAULT_CONTEXT_TOKENS),
      ...(keep !== undefined && { keep: checkKeeping(keep) }),
      ...(share !== undefined && { share }),
      ...(wasmUrl !== undefined && { wasmUrl: absolute(wasmUrl) }),
      engine: {
        ...(threads !== undefined && { threads: checkThreads(threads) }),
        ...(moduleVariant !== undefined && { moduleVariant: checkModuleVariant(moduleVariant) }),
        ...(backend !== undefined && { backend: checkBackend(backend) }),
      },
    },
  });
}

function progressEvent({ phase, loaded, total }: LoadProgress): ProgressEvent {
  const type = phase === 'download' ? 'downloadprogress' : 'loadprogress';
  return new ProgressEvent(type, { lengthComputable: total > 0, loaded, total });
}

function isDelta(event: PrefillProgress | ChatDelta): event is ChatDelta {
  return event.type === 'delta';
}
