// Holds the desk that the settings ask for, and makes another one when they change.
import { Frontdesk, openaiCompatible } from 'frontdesk';
import { placeOf } from '../../../ui/backends.js';
import type { EngineState } from '../shared/protocol.js';
import { allowedAddress, type Settings } from '../shared/settings.js';
import { CodedError, wireError } from './wire_error.js';
import { unlessAborted } from '../shared/waiting.js';

const MODELS = './models';

interface Making {
  readonly key: string;
  readonly desk: Promise<Frontdesk>;
  readonly stop: AbortController;
}

/** What a call runs on and under. */
export interface Under {
  readonly desk: Frontdesk;
  readonly settings: Settings;
  readonly ranOn: string;
  /** Also aborted when the options change what was promised. */
  readonly signal: AbortSignal;
}

export class DeskKeeper {
  #making: Making | undefined;
  #settings: Settings | undefined;
  /** Aborted when what the calls of now were promised holds no longer. */
  #promise = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #state: EngineState = { phase: 'starting', share: 0 };
  readonly #onState: (state: EngineState) => void;

  constructor(onState: (state: EngineState) => void) {
    this.#onState = onState;
  }

  get state(): EngineState {
    return this.#state;
  }

  /** A change of mode, sureness, address or model ends the calls that run; one of models or address also the desk. */
  configure(settings: Settings): void {
    const before = this.#settings;
    this.#settings = settings;
    if (before !== undefined && promiseOf(before) !== promiseOf(settings)) this.#breakPromise();
    const key = keyOf(settings);
    if (this.#making?.key === key) return;
    this.#end();
    const stop = new AbortController();
    const desk = this.#make(settings, stop.signal);
    this.#making = { key, desk, stop };
    // Calls get the error; here nobody waits for it.
    desk.catch(() => undefined);
  }

  /** After a failure. */
  restart(): void {
    if (this.#settings === undefined || this.#state.phase !== 'failed') return;
    this.#end();
    this.configure(this.#settings);
  }

  /** Before another page takes this one's place: the calls end, and none begins until there are settings again. */
  async retire(): Promise<void> {
    this.#breakPromise();
    this.#end();
    await Promise.allSettled(this.#running);
  }

  /** Runs a call once the desk is there, under the settings of that moment. */
  async run<T>(signal: AbortSignal, call: (under: Under) => Promise<T>): Promise<T> {
    const running = this.#run(signal, call);
    this.#running.add(running);
    return running.finally(() => this.#running.delete(running));
  }

  async #run<T>(signal: AbortSignal, call: (under: Under) => Promise<T>): Promise<T> {
    const promise = this.#promise.signal;
    const either = AbortSignal.any([signal, promise]);
    try {
      const desk = await unlessAborted(this.#desk(), either);
      if (this.#settings === undefined) throw new Error('the engine has no settings yet');
      return await call({ desk, settings: this.#settings, ranOn: placeWords(desk) ?? '', signal: either });
    } catch (error) {
      // Whatever the end of a desk or a request made of it.
      throw promise.aborted && !signal.aborted ? promise.reason : error;
    }
  }

  #desk(): Promise<Frontdesk> {
    return this.#making?.desk ?? Promise.reject(new Error('the engine has no settings yet'));
  }

  #breakPromise(): void {
    const broken = this.#promise;
    this.#promise = new AbortController();
    broken.abort(new CodedError('options_changed', 'the options changed while this ran'));
  }

  async #make(settings: Settings, signal: AbortSignal): Promise<Frontdesk> {
    const startedAt = performance.now();
    this.#tell({ phase: 'starting', share: 0 });
    try {
      const desk = await Frontdesk.create({ ...deskOptions(settings), signal, monitor: (target) => this.#follow(target, signal) });
      const { info } = desk;
      const memoryBytes = Math.round(info?.memoryBytes ?? 0);
      this.#tell({ phase: 'ready', model: info?.id ?? null, place: placeWords(desk) ?? null, memoryBytes, startMs: performance.now() - startedAt });
      return desk;
    } catch (error) {
      if (!signal.aborted) this.#tell({ phase: 'failed', error: wireError(error) });
      throw error;
    }
  }

  /** The file is fetched from the package and then read into memory: a half each. */
  #follow(target: EventTarget, signal: AbortSignal): void {
    const tell = (event: Event, before: number): void => {
      if (signal.aborted || !(event instanceof ProgressEvent) || event.total === 0) return;
      const share = Math.floor(100 * (before + event.loaded / event.total / 2)) / 100;
      if (this.#state.phase === 'starting' && share > this.#state.share) this.#tell({ phase: 'starting', share });
    };
    target.addEventListener('downloadprogress', (event) => tell(event, 0));
    target.addEventListener('loadprogress', (event) => tell(event, 0.5));
  }

  #end(): void {
    const making = this.#making;
    this.#making = undefined;
    making?.stop.abort();
    void making?.desk.then((desk) => desk.destroy()).catch(() => undefined);
  }

  #tell(state: EngineState): void {
    this.#state = state;
    this.#onState(state);
  }
}

function deskOptions(settings: Settings): Parameters<typeof Frontdesk.create>[0] {
  const { office, ownModel } = settings;
  return {
    mode: deskMode(settings),
    ...(ownModel === null ? { modelBaseUrl: MODELS } : { model: { sha256: ownModel.sha256, id: ownModel.name } }),
    // The package has the file already; a second copy would only take room. One that was imported is found where it is kept.
    keep: 'never',
    // There is one engine's page.
    share: false,
    ...(office !== null && allowedAddress(settings) !== undefined && { cloud: openaiCompatible(office) }),
  };
}

/** A desk of `only_on_device` cannot be loosened by a call; the modes in between are each call's own. */
function deskMode({ mode }: Settings): 'only_on_device' | 'only_in_cloud' | 'cascade' {
  return mode === 'only_on_device' || mode === 'only_in_cloud' ? mode : 'cascade';
}

/** Of what the desk was made from. */
function keyOf(settings: Settings): string {
  return JSON.stringify([deskMode(settings), settings.ownModel, settings.office]);
}

/** What a call relies on from its beginning to its end. */
function promiseOf({ mode, threshold, office, ownModel }: Settings): string {
  return JSON.stringify([mode, threshold, office, ownModel]);
}

function placeWords({ info }: Frontdesk): string | undefined {
  return info && placeOf({ info, choice: 'wasm' }).long;
}
