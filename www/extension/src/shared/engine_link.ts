// A page's side of the protocol: makes the engine's page where there is none, calls it, and notices when it is gone.
import * as v from 'valibot';
import { EVENTS, FROM_ENGINE, PORT_NAME, type Protocol, type Receipt, RESPONSES, type Status, type ToEngine, type Verb } from './protocol.js';
import { allowedAddress, type Settings } from './settings.js';
import { unlessAborted } from './waiting.js';

const PAGE = 'offscreen.html';
const LOCK = 'frontdesk-engine-page';
/** For each step under the lock, so that a page that hangs does not shut the others out; the model's start is none of them. */
const MOST_STEP_MS = 20_000;

/** What a call rejects with; `name` is the code. */
export class EngineError extends Error {
  constructor(code: string, message: string) {
    super(message);
    this.name = code;
  }
}

export interface CallOptions<V extends Verb> {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: Protocol[V]['event']) => void;
}

interface OpenOptions {
  /** What this page knows to have left, should the engine's page have died with its record. */
  readonly known: () => readonly Receipt[];
  readonly onStatus: (status: Status) => void;
  readonly onLost: () => void;
}

interface Pending {
  readonly verb: Verb;
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onEvent: (event: unknown) => void;
}

/** One port to the engine's page; of no use any more once that is gone. */
export class EngineLink {
  readonly #port: chrome.runtime.Port;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #isOpen = true;

  private constructor(onLost: () => void) {
    this.#port = chrome.runtime.connect({ name: PORT_NAME });
    this.#port.onMessage.addListener((message: unknown) => this.#hear(message));
    this.#port.onDisconnect.addListener(() => {
      // Reading it tells the browser that it is known.
      void chrome.runtime.lastError;
      this.#isOpen = false;
      this.#rejectAll(gone());
      onLost();
    });
  }

  /** Where there is no engine's page, or one for another address, it is made; what left and it does not know is handed over to it. */
  static async open(settings: Settings, options: OpenOptions): Promise<EngineLink> {
    return navigator.locks.request(LOCK, async () => {
      const retired = await preparePage(settings);
      options.onStatus({ receipts: retired });
      const link = new EngineLink(options.onLost);
      try {
        await link.#begin(settings, { ...options, retired });
        return link;
      } catch (error) {
        link.close();
        // The next opening shall not meet it again.
        if (isSilence(error)) void chrome.offscreen.closeDocument().catch(() => undefined);
        throw error;
      }
    });
  }

  async #begin(settings: Settings, { known, retired, onStatus }: Pick<OpenOptions, 'known' | 'onStatus'> & { readonly retired: readonly Receipt[] }): Promise<void> {
    const theirs = new Set<number>();
    const onEvent = (status: Status): void => {
      if ('receipts' in status) for (const { id } of status.receipts) theirs.add(id);
      onStatus(status);
    };
    // All receipts of the page come before the answer to the next call.
    this.call('watch', null, { onEvent }).catch(() => undefined);
    await this.call('configure', settings, { signal: AbortSignal.timeout(MOST_STEP_MS) });
    const missing = new Map([...retired, ...known()].filter(({ id }) => !theirs.has(id)).map((receipt) => [receipt.id, receipt]));
    if (missing.size > 0) await this.call('adopt', [...missing.values()], { signal: AbortSignal.timeout(MOST_STEP_MS) });
  }

  static async once<T>(use: (link: EngineLink) => Promise<T>): Promise<T> {
    const link = new EngineLink(() => undefined);
    try {
      return await use(link);
    } finally {
      link.close();
    }
  }

  /** Rejects with an `EngineError`, or at once with `signal.reason`. */
  async call<V extends Verb>(verb: V, request: Protocol[V]['request'], { signal, onEvent }: CallOptions<V> = {}): Promise<Protocol[V]['response']> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject: (error: Error) => void) => {
      if (!this.#isOpen) return reject(gone());
      const id = this.#nextId++;
      signal?.addEventListener('abort', () => {
        if (!this.#pending.delete(id)) return;
        if (this.#isOpen) this.#send({ id, abort: true });
        reject(signal.reason as Error);
      });
      this.#pending.set(id, { verb, resolve: resolve as Pending['resolve'], reject, onEvent: (onEvent ?? (() => undefined)) as Pending['onEvent'] });
      this.#send({ id, verb, request });
    });
  }

  /** Ends the calls of this page, for this reason; the engine goes on. */
  close(reason = gone()): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#port.disconnect();
    this.#rejectAll(reason);
  }

  #send(message: ToEngine): void {
    this.#port.postMessage(message);
  }

  #hear(message: unknown): void {
    const parsed = v.safeParse(FROM_ENGINE, message);
    const pending = parsed.success ? this.#pending.get(parsed.output.id) : undefined;
    // Of a call that was given up.
    if (!parsed.success || pending === undefined) return;
    const { output } = parsed;
    if ('event' in output) {
      const event = v.safeParse(EVENTS[pending.verb], output.event);
      if (event.success) pending.onEvent(event.output);
      return;
    }
    this.#pending.delete(output.id);
    if ('error' in output) return pending.reject(new EngineError(output.error.code, output.error.message));
    const response = v.safeParse(RESPONSES[pending.verb], output.response);
    if (response.success) pending.resolve(response.output);
    else pending.reject(new EngineError('invalid_message', `the answer to ${pending.verb} makes no sense: ${response.issues[0].message}`));
  }

  #rejectAll(reason: EngineError): void {
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}

function gone(): EngineError {
  return new EngineError('worker_died', 'the engine’s page was closed');
}

/** One at a time, under the lock; gives the receipts of the page whose place was taken. */
async function preparePage(settings: Settings): Promise<readonly Receipt[]> {
  const address = allowedAddress(settings);
  // As the browser writes it: it escapes more than JavaScript does.
  const url = new URL(chrome.runtime.getURL(address === undefined ? PAGE : `${PAGE}?office=${encodeURIComponent(address)}`)).href;
  const [page] = await step(chrome.runtime.getContexts({ contextTypes: ['OFFSCREEN_DOCUMENT'] }));
  if (page?.documentUrl === url) return [];
  // Should it not answer, each page of ours still hands over what it knows.
  const receipts = page === undefined ? [] : await step(EngineLink.once((link) => link.call('retire', null))).catch(() => []);
  if (page !== undefined) await step(chrome.offscreen.closeDocument());
  await step(chrome.offscreen.createDocument({ url, reasons: ['WORKERS'], justification: 'The language model runs in a worker of this page, for as long as an answer takes.' }));
  return receipts;
}

function step<T>(promise: Promise<T>): Promise<T> {
  return unlessAborted(promise, AbortSignal.timeout(MOST_STEP_MS));
}

function isSilence(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
