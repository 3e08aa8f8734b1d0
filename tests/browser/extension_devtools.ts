/** Looks into targets that the test runner does not list as pages: the engine's page, its workers, and the real side panel. */
import type { BrowserContext, CDPSession } from '@playwright/test';

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly sessionId: string; readonly message?: string; readonly targetInfo?: { readonly type: string } };
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: { readonly exception?: { readonly description?: string } } };
}

export class DevTools {
  readonly #session: CDPSession;
  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(context: BrowserContext): Promise<DevTools> {
    const browser = context.browser();
    if (browser === null) throw new Error('this browser has no session of its own');
    return new DevTools(await browser.newBrowserCDPSession());
  }

  /** `TYPE ADDRESS` of all targets of this origin. */
  async targets(origin: string): Promise<{ id: string; type: string; url: string }[]> {
    const { targetInfos } = await this.#session.send('Target.getTargets');
    return targetInfos.filter(({ url }) => url.startsWith(origin)).map(({ targetId, type, url }) => ({ id: targetId, type, url }));
  }

  /** Value of an expression there; promises are awaited. */
  async evaluate(targetId: string, expression: string): Promise<unknown> {
    return this.#attached(targetId, async (talk) => valueOf(await talk('Runtime.evaluate', evaluation(expression))));
  }

  /** The same in each worker that the page itself has started; a thread of one waits for work and answers nothing else. */
  async evaluateInWorkers(targetId: string, expression: string): Promise<unknown[]> {
    return this.#attached(targetId, (talk, events) => inWorkers({ talk, events }, expression));
  }

  /** Messages to the target are wrapped: the test runner keeps the flat sessions for itself. */
  async #attached<T>(targetId: string, use: (talk: Talk, events: Events) => Promise<T>): Promise<T> {
    const { sessionId } = await this.#session.send('Target.attachToTarget', { targetId, flatten: false });
    const { hear, talk, events } = conversation((message) => this.#session.send('Target.sendMessageToTarget', { sessionId, message }));
    const listen = (event: { readonly sessionId: string; readonly message: string }): void => {
      if (event.sessionId === sessionId) hear(event.message);
    };
    this.#session.on('Target.receivedMessageFromTarget', listen);
    try {
      return await use(talk, events);
    } finally {
      this.#session.off('Target.receivedMessageFromTarget', listen);
      await this.#session.send('Target.detachFromTarget', { sessionId }).catch(() => undefined);
    }
  }

  async close(targetId: string): Promise<void> {
    await this.#session.send('Target.closeTarget', { targetId });
  }
}

type Talk = (method: string, params: object) => Promise<Answer>;
type Events = Set<(event: Answer) => void>;

const FOR_WORKERS_MS = 300;

function conversation(send: (message: string) => Promise<unknown>): { hear: (message: string) => void; talk: Talk; events: Events } {
  const waiting = new Map<number, (answer: Answer) => void>();
  const events: Events = new Set();
  let nextId = 1;
  return {
    events,
    hear: (text) => {
      const message = JSON.parse(text) as Answer;
      if (message.id === undefined) for (const listener of events) listener(message);
      else waiting.get(message.id)?.(message);
    },
    talk: (method, params) =>
      new Promise((resolve, reject: (error: Error) => void) => {
        const id = nextId++;
        waiting.set(id, resolve);
        send(JSON.stringify({ id, method, params })).catch(reject);
      }),
  };
}

async function inWorkers({ talk, events }: { readonly talk: Talk; readonly events: Events }, expression: string): Promise<unknown[]> {
  const sessions: string[] = [];
  const inner = new Map<string, ReturnType<typeof conversation>>();
  events.add(({ method, params }) => {
    if (params === undefined) return;
    // The service worker belongs to it too.
    if (method === 'Target.attachedToTarget' && params.targetInfo?.type === 'worker') sessions.push(params.sessionId);
    if (method === 'Target.receivedMessageFromTarget') inner.get(params.sessionId)?.hear(params.message ?? '');
  });
  await talk('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  await new Promise((resolve) => setTimeout(resolve, FOR_WORKERS_MS));
  const values: unknown[] = [];
  for (const sessionId of sessions) {
    const worker = conversation((message) => talk('Target.sendMessageToTarget', { sessionId, message }));
    inner.set(sessionId, worker);
    values.push(valueOf(await worker.talk('Runtime.evaluate', evaluation(expression))));
  }
  return values;
}

function evaluation(expression: string): object {
  return { expression, awaitPromise: true, returnByValue: true };
}

function valueOf({ result }: Answer): unknown {
  if (result?.exceptionDetails) throw new Error(result.exceptionDetails.exception?.description ?? 'the expression failed');
  return result?.result?.value;
}
