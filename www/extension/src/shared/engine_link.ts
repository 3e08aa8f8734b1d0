// A page's side of the protocol: makes the engine's page where there is none, calls it, and notices when it is gone.
import * as v from 'valibot';
import { EVENTS, FROM_ENGINE, PORT_NAME, type Protocol, type Receipt, RESPONSES, type Status, type ToEngine, type Verb } from './protocol.js';
import { allowedAddress, type Settings } from './settings.js';

const PAGE = 'offscreen.html';
const LOCK = 'frontdesk-engine-page';

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
  readonly known: readonly Receipt[];
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
      this.#rejectAll();
      onLost();
    });
  }

  /** Where there is no engine's page, or one for another address, it is made; what left before is handed over to it. */
  static async open(settings: Settings, { known, onStatus, onLost }: OpenOptions): Promise<EngineLink> {
    return navigator.locks.request(LOCK, async () => {
      await preparePage(settings, known);
      const link = new EngineLink(onLost);
      link.call('watch', null, { onEvent: onStatus }).catch(() => undefined);
      await link.call('configure', settings);
      return link;
    });
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

  /** Ends the calls of this page; the engine goes on. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#port.disconnect();
    this.#rejectAll();
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

  #rejectAll(): void {
    for (const { reject } of this.#pending.values()) reject(gone());
    this.#pending.clear();
  }
}

function gone(): EngineError {
  return new EngineError('worker_died', 'the engine’s page was closed');
}

/** One at a time, under the lock. */
async function preparePage(settings: Settings, known: readonly Receipt[]): Promise<void> {
  const address = allowedAddress(settings);
  const url = chrome.runtime.getURL(address === undefined ? PAGE : `${PAGE}?office=${encodeURIComponent(address)}`);
  const [page] = await chrome.runtime.getContexts({ contextTypes: ['OFFSCREEN_DOCUMENT'] });
  if (page?.documentUrl === url) return;
  const receipts = page === undefined ? known : await EngineLink.once((link) => link.call('receipts', null)).catch(() => known);
  if (page !== undefined) await chrome.offscreen.closeDocument();
  await chrome.offscreen.createDocument({ url, reasons: ['WORKERS'], justification: 'The language model runs in a worker of this page, for as long as an answer takes.' });
  if (receipts.length > 0) await EngineLink.once((link) => link.call('adopt', receipts));
}
