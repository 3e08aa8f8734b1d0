/** One engine for all tabs of an origin: the worker that holds a lock has it, the others hand their pages' calls on to that one (worker only). */
import { openModelFolder } from './files/model_folder.js';
import type { Caller } from './host.js';
import type { FromWorker, LoadRequest, ToWorker, Verb, WireError } from './protocol.js';

/** The engine of this worker, should it be the one. */
export interface Host {
  receive(message: ToWorker, caller: Caller): void;
  /** Begins to load what calls will need. */
  prepare(request: LoadRequest): void;
  /** Stops all that a caller began. */
  forget(caller: Pick<Caller, 'name'>): void;
}

export interface SharingOptions {
  /** What is the same for all that may share. */
  readonly key: string;
  readonly load: LoadRequest;
  readonly host: Host;
  readonly toPage: (message: FromWorker) => void;
}

/** From a worker to the leader: a call of its page, or the question whether somebody is there. */
interface ToLeader {
  readonly from: string;
  readonly message: ToWorker | 'ping';
}

/** From the leader to one worker, or to `all`. */
interface FromLeader {
  readonly leader: string;
  readonly to: string;
  /** `here`: I lead, and have heard you. */
  readonly message: FromWorker | 'here';
}

/** A call of this worker's page that another worker is to answer. */
interface Pending {
  readonly message: Exclude<ToWorker, { readonly verb: 'abort' }>;
  /** Whether the page has been told a part of the answer. */
  isHalfTold: boolean;
}

/** What may be done twice: it changes nothing. */
const REPEATABLE: ReadonlySet<Verb> = new Set(['load', 'classify', 'embed', 'chat', 'applyTask', 'evaluateTask', 'describeTask', 'exportTask', 'ledger']);
const PING_MS = 2000;
/**
 * Pings without an answer after which a leader counts as frozen with its tab; steps of a slow device take a few seconds.
 * Pings are counted rather than seconds: a tab that was frozen itself has not waited.
 */
const MOST_SILENT_PINGS = 8;

/** This worker's part in it. */
export class SharedEngine {
  readonly #options: SharingOptions;
  readonly #name = crypto.randomUUID();
  readonly #channel: BroadcastChannel;
  readonly #pending = new Map<number, Pending>();
  readonly #own: Caller;
  /** Callers in other workers that were heard, when this one leads, and what they asked. */
  readonly #heard = new Map<string, { readonly caller: Caller; readonly ids: Set<number> }>();
  /** Leaders of earlier times; one that was frozen may still speak. */
  readonly #former = new Set<string>();
  /** Whether others can tell that this worker lives, and what waits for that. */
  #isKnown = false;
  readonly #unsent: ToWorker[] = [];
  #isLeader = false;
  /** The leader, once it was heard. */
  #leader: string | undefined;
  #silentPings = 0;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(options: SharingOptions) {
    this.#options = options;
    this.#own = { name: this.#name, post: options.toPage };
    this.#channel = new BroadcastChannel(lockOf(options.key));
    this.#channel.onmessage = ({ data }: MessageEvent<ToLeader | FromLeader>) => {
      if ('from' in data) this.#onAsked(data);
      else this.#onTold(data);
    };
    const begin = () => {
      this.#stand();
      this.#isKnown = true;
      for (const message of this.#unsent.splice(0)) this.#ask(message);
      return forEver();
    };
    // As long as this lock is held, this worker lives; whoever is asked before would take it for dead.
    navigator.locks.request(lockOf(this.#name), begin).catch(() => {
      this.#lead();
    });
  }

  /** Takes what the page says. */
  receive(message: ToWorker): void {
    if (this.#isLeader) {
      this.#options.host.receive(message, this.#own);
      return;
    }
    if (message.verb !== 'abort') this.#pending.set(message.id, { message, isHalfTold: false });
    if (this.#isKnown) this.#ask(message);
    else this.#unsent.push(message);
  }

  /** Tells all pages. */
  tellAll(message: FromWorker): void {
    this.#options.toPage(message);
    this.#tell('all', message);
  }

  /** Leads as soon as nobody else does; with `steal` whoever leads is deposed. */
  #stand({ steal = false } = {}): void {
    const lead = () => {
      this.#lead();
      return forEver();
    };
    navigator.locks.request(lockOf(this.#options.key), steal ? { steal } : {}, lead).catch((error: unknown) => {
      // Another worker took the lock away, as this one had been frozen for too long; or there are no locks here.
      if (this.#isLeader) this.#options.toPage({ died: { code: 'worker_died', message: `the engine was taken over by another tab: ${String(error)}` } });
      else this.#lead();
    });
  }

  #lead(): void {
    if (this.#isLeader) return;
    this.#isLeader = true;
    clearInterval(this.#watch);
    const { host, load } = this.#options;
    const isSuccessor = this.#leader !== undefined;
    if (isSuccessor) host.prepare(load);
    this.#handOver(isSuccessor, (message) => {
      host.receive(message, this.#own);
    });
    this.#pending.clear();
    this.#tell('all', 'here');
  }

  /** Another worker asks the leader. */
  #onAsked({ from, message }: ToLeader): void {
    if (!this.#isLeader) return;
    if (message === 'ping') {
      this.#tell(from, 'here');
      return;
    }
    const { caller, ids } = this.#heard.get(from) ?? this.#meet(from);
    // Who did not know who leads may have asked twice.
    if (message.verb !== 'abort' && ids.has(message.id)) return;
    ids.add(message.id);
    this.#options.host.receive(message, caller);
  }

  #meet(name: string): { readonly caller: Caller; readonly ids: Set<number> } {
    const caller: Caller = { name, post: (answer) => { this.#tell(name, answer); } };
    const met = { caller, ids: new Set<number>() };
    this.#heard.set(name, met);
    const forget = () => {
      this.#heard.delete(name);
      this.#options.host.forget(caller);
    };
    // Granted when that worker is gone.
    navigator.locks.request(lockOf(name), forget).catch(() => undefined);
    return met;
  }

  /** The leader says something. */
  #onTold({ leader, to, message }: FromLeader): void {
    if (this.#isLeader || this.#former.has(leader) || (to !== 'all' && to !== this.#name)) return;
    this.#silentPings = 0;
    if (leader !== this.#leader) this.#follow(leader);
    if (message === 'here') return;
    if ('event' in message) {
      const pending = this.#pending.get(message.id);
      if (pending && 'type' in message.event && message.event.type === 'delta') pending.isHalfTold = true;
    } else if ('id' in message) {
      this.#pending.delete(message.id);
    }
    this.#options.toPage(message);
  }

  /** Asks a new leader what the one before has not answered. */
  #follow(leader: string): void {
    const isSuccessor = this.#leader !== undefined;
    if (this.#leader !== undefined) this.#former.add(this.#leader);
    this.#leader = leader;
    this.#handOver(isSuccessor, (message) => {
      this.#say(message);
    });
  }

  /** Has what is not answered asked of the leader; of a second one, only what can be done twice. */
  #handOver(isSuccessor: boolean, ask: (message: Pending['message']) => void): void {
    for (const [id, { message, isHalfTold }] of this.#pending) {
      if (!isSuccessor || (REPEATABLE.has(message.verb) && !isHalfTold)) {
        ask(message);
      } else {
        this.#pending.delete(id);
        this.#options.toPage({ id, error: GONE });
      }
    }
  }

  #ask(message: ToWorker): void {
    if (this.#isLeader) return;
    this.#say(message);
    if (this.#watch !== undefined) return;
    this.#silentPings = 0;
    this.#watch = setInterval(() => {
      this.#lookAfterLeader();
    }, PING_MS);
  }

  /** While something is to be answered, makes sure that somebody will. */
  #lookAfterLeader(): void {
    if (this.#pending.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    } else if (this.#silentPings >= MOST_SILENT_PINGS) {
      this.#silentPings = 0;
      this.#stand({ steal: true });
    } else {
      this.#silentPings += 1;
      this.#say('ping');
    }
  }

  #say(message: ToLeader['message']): void {
    this.#channel.postMessage({ from: this.#name, message } satisfies ToLeader);
  }

  #tell(to: string, message: FromLeader['message']): void {
    this.#channel.postMessage({ leader: this.#name, to, message } satisfies FromLeader);
  }
}

/** Whether this browser has what sharing takes. Where it keeps no files, tasks live in one engine's memory and would end with its tab. */
export async function canShare(): Promise<boolean> {
  // Insecure origins have no locks.
  if (!('locks' in navigator) || typeof BroadcastChannel === 'undefined') return false;
  return openModelFolder().then(
    () => true,
    () => false,
  );
}

const GONE: WireError = { code: 'worker_died', message: 'the tab whose engine was used is gone, and this cannot be done twice' };

function lockOf(name: string): string {
  return `frontdesk-engine:${name}`;
}

function forEver(): Promise<never> {
  return new Promise(() => undefined);
}
