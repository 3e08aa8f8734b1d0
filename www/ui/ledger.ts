// The record of every request that carried text away: written the moment it leaves, explained when the outcome is known.

export interface LedgerEntry {
  readonly id: number;
  readonly at: Date;
  readonly url: string;
  readonly purpose: 'classify' | 'route' | 'summarise' | 'chat';
  /** Length of the body as UTF-8. */
  readonly bytes: number;
  /** The body, exactly as it was handed to the network. */
  readonly body: string;
  readonly why: string;
  readonly outcome: string;
}

/** What the SDK says left; see `Ledger.reconcile`. */
interface Receipt {
  readonly url: string;
  readonly bytes: number;
  readonly body: string;
}

/** What a table shows of it; whoever keeps the entries elsewhere gives just these. */
export type LedgerView = Pick<Ledger, 'entries' | 'totalBytes' | 'toJson'>;

const ENCODER = new TextEncoder();

export class Ledger {
  #entries: readonly LedgerEntry[] = [];
  #listeners = new Set<() => void>();
  #nextId = 1;
  #purpose: LedgerEntry['purpose'] = 'classify';
  #firstOfRun = 1;

  /** Newest first. */
  get entries(): readonly LedgerEntry[] {
    return this.#entries;
  }

  get totalBytes(): number {
    return bytesOf(this.#entries);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Everything that leaves from now on belongs to this run, until the next `begin`. */
  begin(purpose: LedgerEntry['purpose']): void {
    this.#purpose = purpose;
    this.#firstOfRun = this.#nextId;
  }

  /**
   * The only `fetch` that the provider gets. Counting here, and not from results, also catches requests whose
   * answer never came: stopped, failed or cut off, their text has left all the same.
   */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const body = init?.body;
    // What cannot be listed does not leave.
    if (typeof body !== 'string' || input instanceof Request) throw new TypeError('the ledger passes on text bodies only');
    const entry = this.#record({ url: new URL(input, document.baseURI).href, body, bytes: ENCODER.encode(body).length });
    try {
      const response = await globalThis.fetch(input, init);
      this.#change(entry.id, { outcome: `Answered with status ${response.status}.` });
      return response;
    } catch (error) {
      const stopped = init?.signal?.aborted === true;
      this.#change(entry.id, {
        outcome: stopped ? 'Stopped before an answer came.' : 'No answer came; it may not have arrived. Counted to be on the safe side.',
      });
      throw error;
    }
  };

  /** Says why the requests of this run left. */
  explain(why: string): void {
    this.#entries = this.#entries.map((entry) => (entry.id >= this.#firstOfRun ? { ...entry, why } : entry));
    this.#tell();
  }

  /** A receipt that no recorded request matches is counted too: the ledger may say too much, never too little. */
  reconcile(receipt: Receipt | undefined): void {
    if (receipt === undefined) return;
    const known = this.#entries.some((entry) => entry.id >= this.#firstOfRun && entry.body === receipt.body);
    if (!known) this.#record(receipt);
  }

  toJson(): string {
    return ledgerJson(this.#entries);
  }

  #record(facts: Receipt): LedgerEntry {
    const { url, bytes, body } = facts;
    const entry: LedgerEntry = {
      id: this.#nextId++,
      at: new Date(),
      url,
      purpose: this.#purpose,
      bytes,
      body,
      why: 'Asked on your behalf.',
      outcome: 'Waiting for an answer.',
    };
    this.#entries = [entry, ...this.#entries];
    this.#tell();
    return entry;
  }

  #change(id: number, change: Partial<LedgerEntry>): void {
    this.#entries = this.#entries.map((entry) => (entry.id === id ? { ...entry, ...change } : entry));
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

export function bytesOf(entries: readonly LedgerEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}

export function ledgerJson(entries: readonly LedgerEntry[]): string {
  const requests = entries.map(({ at, url, purpose, bytes, body, why, outcome }) => ({ at: at.toISOString(), url, purpose, bytes, why, outcome, body }));
  return JSON.stringify({ totalBytes: bytesOf(entries), requests }, null, 2);
}
