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

const WAITING = 'Waiting for an answer.';

/** Where nobody can tell whether it arrived. */
export const NO_ANSWER = 'No answer came; it may not have arrived. Counted to be on the safe side.';

export class Receipts {
  #all: readonly Receipt[] = [];
  #nextId = 1;
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

  /** Those of the page that was here before, newest first; nobody hears of their answers any more. */
  adopt(earlier: readonly Receipt[]): void {
    for (const receipt of [...earlier].reverse()) this.#put({ ...receipt, id: this.#nextId++, outcome: receipt.outcome === WAITING ? NO_ANSWER : receipt.outcome });
  }

  #put(receipt: Receipt): void {
    this.#all = [receipt, ...this.#all.filter(({ id }) => id !== receipt.id)].sort((a, b) => b.id - a.id);
    this.#onChange([receipt]);
  }
}
