/** The largest that a page's workers get, JavaScript's objects and array buffers together, asked of Chromium while they work. */
import type { CDPSession, Page } from '@playwright/test';

interface Reply {
  readonly result?: { readonly usedSize: number; readonly embedderHeapUsedSize: number; readonly backingStorageSize: number };
}

const PAUSE_MS = 5;

export class HeapWatch {
  /** Bytes; of one worker at a time. */
  peak = 0;
  samples = 0;
  readonly #session: CDPSession;
  readonly #workers = new Set<string>();
  #nextId = 1;
  #isOver = false;
  #asking = Promise.resolve();

  private constructor(session: CDPSession) {
    this.#session = session;
    session.on('Target.attachedToTarget', ({ sessionId }) => this.#workers.add(sessionId));
    session.on('Target.detachedFromTarget', ({ sessionId }) => this.#workers.delete(sessionId));
    session.on('Target.receivedMessageFromTarget', ({ message }) => {
      const { result } = JSON.parse(message) as Reply;
      if (result?.usedSize === undefined) return;
      this.samples += 1;
      this.peak = Math.max(this.peak, result.usedSize + result.embedderHeapUsedSize + result.backingStorageSize);
    });
  }

  /** Watches the workers that the page has and starts from now on. */
  static async start(page: Page): Promise<HeapWatch> {
    const session = await page.context().newCDPSession(page);
    const watch = new HeapWatch(session);
    await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
    watch.#asking = watch.#ask();
    return watch;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#asking;
    await this.#session.detach();
  }

  async #ask(): Promise<void> {
    while (!this.#isOver) {
      for (const sessionId of this.#workers) {
        const message = JSON.stringify({ id: this.#nextId++, method: 'Runtime.getHeapUsage' });
        // A worker may just have ended.
        await this.#session.send('Target.sendMessageToTarget', { sessionId, message }).catch(() => undefined);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
