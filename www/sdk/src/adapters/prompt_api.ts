/** The browser's built-in Prompt API, answered by a desk. */
import { LinkedAbort, raceAbort } from '../abort.js';
import { type CallOptions, type ChatCompletionRequest, type ChatMessage, type CompletionProvenance, Frontdesk } from '../index.js';
import { decideBySchema, type DecidedProvenance, refusalOf } from './decided.js';
import { type DeskChoice, isDesk, type OpenOptions, SharedDesk } from './prompt_api_desk.js';
import { domException, notSupported, toPromptError } from './prompt_api_errors.js';
import { type CoreOptions, obstacleOf, type PromptInput, type PromptMessage, toHistory, toMessages, toSampling } from './prompt_api_input.js';

export type { DecidedProvenance } from './decided.js';
export { CreateMonitor, type DeskChoice } from './prompt_api_desk.js';
export type * from './prompt_api_input.js';

/** What both `availability` and `create` take. */
export interface LanguageModelCoreOptions extends CoreOptions {
  /** A desk, which then is yours to destroy, or how to make one. */
  readonly frontdesk?: DeskChoice;
}

/** How a session is made. */
export interface LanguageModelCreateOptions extends LanguageModelCoreOptions, OpenOptions {
  readonly initialPrompts?: readonly PromptMessage[];
}

/** Options of one prompt. */
export interface PromptOptions {
  readonly signal?: AbortSignal;
  /** A small JSON schema: an enum of strings, `boolean`, or an object of those. The answer is then JSON. */
  readonly responseConstraint?: object;
  /** Accepted: a schema is never put into the prompt. */
  readonly omitResponseConstraintInput?: boolean;
  /** Goes before the desk's own; `max_tokens` is 256 where nothing is said. */
  readonly frontdesk?: Omit<CallOptions, 'signal'> & Pick<ChatCompletionRequest, 'max_tokens'>;
}

/** Whether a session can be made; `available` once the model is on the device. */
export type LanguageModelAvailability = 'unavailable' | 'downloadable' | 'downloading' | 'available';

interface SessionParts {
  readonly shared: SharedDesk;
  readonly sampling: ReturnType<typeof toSampling>;
  readonly history: readonly ChatMessage[];
}

/** What one answer takes; pieces are pushed where they are wanted. */
interface Asking {
  readonly messages: readonly ChatMessage[];
  readonly options: PromptOptions;
  readonly push?: (piece: string) => void;
}

/**
 * A session with the model in the browser's own shape: `await LanguageModel.create({ frontdesk: { ... } })`.
 * Failures are the DOMExceptions of that API, with this package's error as their `cause`.
 */
export class LanguageModel extends EventTarget {
  /** Never called: what does not fit is refused, and nothing is forgotten to make room. */
  oncontextoverflow: ((event: Event) => unknown) | null = null;
  readonly #shared: SharedDesk;
  readonly #sampling: SessionParts['sampling'];
  readonly #running = new Set<LinkedAbort>();
  #history: readonly ChatMessage[];
  /** The end of the queue. */
  #last: Promise<unknown> = Promise.resolve();
  #contextUsage = 0;
  #provenance: CompletionProvenance | DecidedProvenance | undefined;
  #isDestroyed = false;

  private constructor({ shared, sampling, history }: SessionParts) {
    super();
    this.#shared = shared;
    this.#sampling = sampling;
    this.#history = history;
    shared.enter();
  }

  /** Tells, without downloading anything, whether `create()` can do what is asked of it. */
  static async availability(options: LanguageModelCoreOptions = {}): Promise<LanguageModelAvailability> {
    const { frontdesk = {} } = options;
    if (obstacleOf(options) !== undefined) return 'unavailable';
    if (isDesk(frontdesk) || frontdesk.mode === 'only_in_cloud') return 'available';
    return (await asPromptApi(() => Frontdesk.availability(frontdesk))).status;
  }

  /** Fetches the model where it has to be. Rejects with `signal.reason` when aborted. */
  static async create(options: LanguageModelCreateOptions = {}): Promise<LanguageModel> {
    const { frontdesk = {}, initialPrompts = [] } = options;
    const obstacle = obstacleOf(options);
    if (obstacle !== undefined) throw notSupported(obstacle);
    const [sampling, history] = [toSampling(options), toHistory(initialPrompts)];
    const shared = await asPromptApi(() => SharedDesk.open(frontdesk, options));
    return new LanguageModel({ shared, sampling, history });
  }

  /** Where the last answer came from, why, and how sure it is; `undefined` before the first. */
  get frontdesk(): CompletionProvenance | DecidedProvenance | undefined {
    return this.#provenance;
  }

  /** Tokens that the conversation had at the device's last answer; 0 before the first. */
  get contextUsage(): number {
    return this.#contextUsage;
  }

  /** Tokens that a conversation may have; `Infinity` where there is only the cloud. */
  get contextWindow(): number {
    return this.#shared.desk.info?.contextTokens ?? Infinity;
  }

  /** Answers as a whole. Prompts of one session are answered in order; one that fails leaves no trace in the conversation. */
  async prompt(input: PromptInput, options: PromptOptions = {}): Promise<string> {
    const messages = toMessages(input);
    return this.#inTurn(this.#begin(options.signal), (signal) => this.#answer({ messages, options }, signal));
  }

  /** Answers in pieces. Cancelling the stream stops the work. */
  promptStreaming(input: PromptInput, options: PromptOptions = {}): ReadableStream<string> {
    let abort: LinkedAbort | undefined;
    return new ReadableStream<string>({
      start: (controller) => {
        const push = (piece: string) => {
          controller.enqueue(piece);
        };
        const run = async () => {
          const messages = toMessages(input);
          abort = this.#begin(options.signal);
          await this.#inTurn(abort, (signal) => this.#answer({ messages, options, push }, signal));
          controller.close();
        };
        // Not awaited: pieces are to be read while the work goes on.
        run().catch((error: unknown) => {
          controller.error(error);
        });
      },
      cancel: (reason) => {
        abort?.abort(reason);
      },
    });
  }

  /** Adds to the conversation without an answer; nothing is computed before the next prompt. */
  async append(input: PromptInput, { signal }: { readonly signal?: AbortSignal } = {}): Promise<undefined> {
    const messages = toMessages(input);
    await this.#inTurn(this.#begin(signal), () => {
      this.#history = [...this.#history, ...messages];
      return Promise.resolve();
    });
  }

  /** A session with the same conversation so far, on the same desk. */
  async clone({ signal }: { readonly signal?: AbortSignal } = {}): Promise<LanguageModel> {
    this.#begin(signal).unlink();
    const copy = new LanguageModel({ shared: this.#shared, sampling: this.#sampling, history: this.#history });
    copy.#contextUsage = this.#contextUsage;
    return Promise.resolve(copy);
  }

  /** Rejects what is under way with an `AbortError`. Ends the desk with the last of its sessions, if it was made for them. */
  destroy(): undefined {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    for (const abort of this.#running) abort.abort(domException('AbortError', { message: 'the session was destroyed' }));
    this.#shared.leave();
  }

  #begin(signal: AbortSignal | undefined): LinkedAbort {
    if (this.#isDestroyed) throw domException('InvalidStateError', { message: 'the session was destroyed' });
    return new LinkedAbort(signal);
  }

  async #inTurn<Result>(abort: LinkedAbort, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { signal } = abort;
    this.#running.add(abort);
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return work(signal);
    });
    this.#last = turn.catch(() => undefined);
    try {
      return await asPromptApi(() => raceAbort(turn, signal));
    } finally {
      this.#running.delete(abort);
      abort.unlink();
    }
  }

  async #answer(asking: Asking, signal: AbortSignal): Promise<string> {
    const messages = [...this.#history, ...asking.messages];
    const { text, provenance, usedTokens } = await this.#ask({ ...asking, messages }, signal);
    signal.throwIfAborted();
    this.#history = [...messages, { role: 'assistant', content: text }];
    this.#provenance = provenance;
    this.#contextUsage = usedTokens ?? this.#contextUsage;
    return text;
  }

  async #ask({ messages, options, push }: Asking, signal: AbortSignal): Promise<Answer> {
    const { frontdesk: { max_tokens, ...own } = {}, responseConstraint: schema } = options;
    const { desk } = this.#shared;
    const call = { ...own, signal };
    if (schema !== undefined) {
      const refusal = (cause: unknown) => notSupported(refusalOf(cause), cause);
      const decided = await decideBySchema(desk, { schema, messages, refusal }, call);
      push?.(decided.text);
      return { text: decided.text, provenance: decided.frontdesk };
    }
    const request = { ...this.#sampling, ...(max_tokens !== undefined && { max_tokens }), messages };
    if (!push) {
      const { choices, frontdesk } = await desk.chat.completions.create({ ...request, stream: false }, call);
      return answerOf(choices[0].message.content, frontdesk);
    }
    let text = '';
    let provenance: CompletionProvenance | undefined;
    for await (const { choices, frontdesk } of desk.chat.completions.create({ ...request, stream: true }, call)) {
      const { content = '' } = choices[0].delta;
      if (content !== '') push(content);
      text += content;
      provenance = frontdesk;
    }
    return answerOf(text, provenance);
  }
}

interface Answer {
  readonly text: string;
  readonly provenance: CompletionProvenance | DecidedProvenance | undefined;
  /** Known only where the device gave the answer. */
  readonly usedTokens?: number;
}

function answerOf(text: string, provenance: CompletionProvenance | undefined): Answer {
  const usage = provenance?.source === 'device' ? provenance.local?.usage : undefined;
  return { text, provenance, ...(usage && { usedTokens: usage.promptTokens + usage.completionTokens }) };
}

async function asPromptApi<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw toPromptError(error);
  }
}
