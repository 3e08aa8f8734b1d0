// The panel's connection to the engine: kept open, made again when the engine's page is gone or the options change.
import type { LedgerEntry } from '../../../ui/ledger.js';
import { type CallOptions, EngineError, EngineLink } from '../shared/engine_link.js';
import { unlessAborted } from '../shared/waiting.js';
import type { EngineState, Protocol, Receipt, Status, Verb } from '../shared/protocol.js';
import { allowedAddress, type Settings } from '../shared/settings.js';
import { readSettings, watchSettings } from '../shared/stored_settings.js';

export interface EngineView {
  readonly settings: Settings | undefined;
  readonly engine: EngineState;
  /** Newest first. */
  readonly receipts: readonly LedgerEntry[];
  /** Set when the engine's page died and another one took its place. */
  readonly wasRestarted: boolean;
}

const STARTING: EngineState = { phase: 'starting', share: 0 };
/** A page that dies sooner than this, so many times, is not made again by itself. */
const SHORT_LIFE_MS = 5000;
const MOST_SHORT_LIVES = 3;
/** Before the next try: a page that has just been made may not listen yet. */
const PAUSE_MS = 150;

export class EngineConnection {
  #view: EngineView = { settings: undefined, engine: STARTING, receipts: [], wasRestarted: false };
  /** Whatever becomes of the engine's page, a panel forgets none. */
  readonly #known = new Map<number, Receipt>();
  #link: Promise<EngineLink>;
  #shortLives = 0;
  /** Which opening counts; what an earlier one says is of no interest. */
  #generation = 0;
  readonly #listeners = new Set<() => void>();

  constructor() {
    this.#link = this.#open();
    watchSettings((settings) => void this.#change(settings));
  }

  get view(): EngineView {
    return this.#view;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async call<V extends Verb>(verb: V, request: Protocol[V]['request'], options?: CallOptions<V>): Promise<Protocol[V]['response']> {
    // Stop also works while a page is being made.
    const link = await unlessAborted(this.#link, options?.signal);
    return link.call(verb, request, options);
  }

  /** By hand, after a failure. */
  restart(): void {
    this.#shortLives = 0;
    this.#set({ engine: STARTING, wasRestarted: false });
    void this.#link
      .then((link) => link.call('restart', null))
      .catch(() => {
        this.#link = this.#open();
      });
  }

  forgetRestart(): void {
    if (this.#view.wasRestarted) this.#set({ wasRestarted: false });
  }

  #open(afterMs = 0): Promise<EngineLink> {
    const generation = ++this.#generation;
    const link = this.#openWith(generation, afterMs);
    link.catch((error: unknown) => {
      if (generation !== this.#generation) return;
      const { name, message } = error instanceof Error ? error : new EngineError('internal', String(error));
      this.#set({ engine: { phase: 'failed', error: { code: name, message } } });
    });
    return link;
  }

  async #openWith(generation: number, afterMs: number): Promise<EngineLink> {
    if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
    const openedAt = performance.now();
    const settings = await readSettings();
    this.#set({ settings });
    const isCurrent = (): boolean => generation === this.#generation;
    const onLost = (): void => {
      if (isCurrent()) void this.#reopen({ lost: settings, livedMs: performance.now() - openedAt });
    };
    const onStatus = (status: Status): void => {
      if ('receipts' in status) this.#remember(status.receipts);
      else if (isCurrent()) this.#set({ engine: status.engine });
    };
    const known = (): readonly Receipt[] => [...this.#known.values()];
    const link = await EngineLink.open(settings, { known, onStatus, onLost });
    if (!isCurrent()) link.close(optionsChanged());
    return link;
  }

  async #reopen({ lost, livedMs }: { readonly lost: Settings; readonly livedMs: number }): Promise<void> {
    const wanted = allowedAddress(await readSettings()) !== allowedAddress(lost);
    this.#shortLives = livedMs < SHORT_LIFE_MS && !wanted ? this.#shortLives + 1 : 0;
    if (this.#shortLives >= MOST_SHORT_LIVES) {
      this.#link = Promise.reject(new EngineError('worker_died', 'the engine’s page ends as soon as it is made'));
      this.#link.catch(() => undefined);
      this.#set({ engine: { phase: 'failed', error: { code: 'worker_died', message: 'the engine’s page ends as soon as it is made' } } });
      return;
    }
    this.#set({ engine: STARTING, wasRestarted: this.#view.wasRestarted || !wanted });
    this.#link = this.#open(livedMs < SHORT_LIFE_MS ? PAUSE_MS : 0);
  }

  async #change(settings: Settings): Promise<void> {
    const before = this.#view.settings;
    this.#set({ settings });
    if (before !== undefined && allowedAddress(before) === allowedAddress(settings)) {
      await this.call('configure', settings).catch(() => undefined);
      return;
    }
    const old = this.#link;
    this.#set({ engine: STARTING });
    this.#link = this.#open();
    await old.then((link) => link.close(optionsChanged())).catch(() => undefined);
  }

  /** New ones, and what came of those that are known. */
  #remember(receipts: readonly Receipt[]): void {
    for (const receipt of receipts) this.#known.set(receipt.id, receipt);
    const newestFirst = [...this.#known.values()].sort((a, b) => b.id - a.id);
    this.#set({ receipts: newestFirst.map((receipt) => ({ ...receipt, at: new Date(receipt.at) })) });
  }

  #set(change: Partial<EngineView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function optionsChanged(): EngineError {
  return new EngineError('options_changed', 'the options changed while this ran');
}
