// The record of every request that left: written just before it leaves, explained once the outcome is known.
import type { Receipt as SentReceipt } from 'frontdesk';
import type { Receipt } from '../shared/protocol.js';

/** One call's part of the record; a call sends one request at the most. */
export interface Sending {
  /** For the SDK's `onSend`. */
  readonly onSend: (sent: SentReceipt) => void;
  /** Says why and what came of it; does nothing where nothing left. */
  readonly explain: (words: { readonly why: string; readonly outcome: string }) => void;
}

const MOST_A_MILLISECOND = 1000;
const WAITING = 'Waiting for an answer.';

/** Where nobody can tell whether it arrived. */
export const NO_ANSWER = 'No answer came; it may not have arrived. Counted to be on the safe side.';

export class Receipts {
  #all: readonly Receipt[] = [];
  /** The time makes them differ from those of any page before; so an identifier is one request's, wherever its receipt goes. */
  #nextId = Date.now() * MOST_A_MILLISECOND;
  readonly #onChange: (changed: readonly Receipt[]) => void;

  constructor(onChange: (changed: readonly Receipt[]) => void) {
    this.#onChange = onChange;
  }

  get all(): readonly Receipt[] {
    return this.#all;
  }

  begin(purpose: Receipt['purpose']): Sending {
    let id: number | undefined;
    return {
      onSend: ({ url, bytes, body, at }) => {
        id = this.#nextId++;
        this.#put({ id, at, url, bytes, body, purpose, why: 'Asked on your behalf.', outcome: WAITING });
      },
      explain: (words) => {
        const sent = this.#all.find((receipt) => receipt.id === id);
        if (sent !== undefined) this.#put({ ...sent, ...words });
      },
    };
  }

  /** Those of a page that was here before, as far as they are new; nobody hears of their answers any more. */
  adopt(earlier: readonly Receipt[]): void {
    const known = new Set(this.#all.map(({ id }) => id));
    for (const receipt of earlier.filter(({ id }) => !known.has(id))) {
      this.#nextId = Math.max(this.#nextId, receipt.id + 1);
      this.#put({ ...receipt, outcome: receipt.outcome === WAITING ? NO_ANSWER : receipt.outcome });
    }
  }

  #put(receipt: Receipt): void {
    this.#all = [receipt, ...this.#all.filter(({ id }) => id !== receipt.id)].sort((a, b) => b.id - a.id);
    this.#onChange([receipt]);
  }
}
