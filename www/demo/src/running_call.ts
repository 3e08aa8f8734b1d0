// A call that is under way, and the terms under which its text may leave; stricter terms end it before anything more leaves.
import { MODES, type Mode } from '../../ui/modes.js';

export interface Terms {
  readonly mode: Mode;
  readonly threshold: number;
}

export class RunningCall {
  readonly #controller = new AbortController();
  readonly #terms: Terms;
  #endedBy: Mode | undefined;

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The mode that this call was stopped for; `undefined` where the visitor pressed Stop, or it goes on. */
  get endedBy(): Mode | undefined {
    return this.#endedBy;
  }

  stop(): void {
    this.#controller.abort();
  }

  /** The page promises these terms from now on; a call that was allowed more must not break them. */
  heed(now: Terms): void {
    if (this.signal.aborted || !isStricter(now, this.#terms)) return;
    this.#endedBy = now.mode;
    this.stop();
  }
}

/** Modes stand in the order in which they let more and more text leave. */
function isStricter(now: Terms, before: Terms): boolean {
  const place = (mode: Mode): number => MODES.findIndex((words) => words.mode === mode);
  if (now.mode !== before.mode) return place(now.mode) < place(before.mode);
  return now.mode === 'cascade' && now.threshold < before.threshold;
}
