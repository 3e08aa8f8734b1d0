/** Looks into targets that the test runner does not list as pages: the engine's page, its workers, and the real side panel. */
import type { BrowserContext, CDPSession } from '@playwright/test';

interface Answer {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: { readonly exception?: { readonly description?: string } } };
}

export class DevTools {
  readonly #session: CDPSession;
  #nextId = 1;

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
    const { sessionId } = await this.#session.send('Target.attachToTarget', { targetId, flatten: false });
    const id = this.#nextId++;
    const answer = new Promise<Answer>((resolve) => {
      const hear = (event: { readonly sessionId: string; readonly message: string }): void => {
        const message = JSON.parse(event.message) as Answer;
        if (event.sessionId !== sessionId || message.id !== id) return;
        this.#session.off('Target.receivedMessageFromTarget', hear);
        resolve(message);
      };
      this.#session.on('Target.receivedMessageFromTarget', hear);
    });
    const message = JSON.stringify({ id, method: 'Runtime.evaluate', params: { expression, awaitPromise: true, returnByValue: true } });
    await this.#session.send('Target.sendMessageToTarget', { sessionId, message });
    const { result } = await answer;
    await this.#session.send('Target.detachFromTarget', { sessionId }).catch(() => undefined);
    if (result?.exceptionDetails) throw new Error(result.exceptionDetails.exception?.description ?? 'the expression failed');
    return result?.result?.value;
  }

  async close(targetId: string): Promise<void> {
    await this.#session.send('Target.closeTarget', { targetId });
  }
}
