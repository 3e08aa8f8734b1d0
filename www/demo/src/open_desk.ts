// Makes a desk with the models and the back office of this page, and ends one that another has replaced.
import { Frontdesk, openaiCompatible, type BackendChange } from 'frontdesk';
import type { BackendChoice } from '../../ui/backends.js';
import { COMPLETIONS_PATH, MODELS_PATH, wantedModels, type DemoConfig } from './config.js';
import type { Ledger } from '../../ui/ledger.js';

export interface Opening {
  readonly config: DemoConfig;
  readonly ledger: Ledger;
  readonly choice: BackendChoice;
  readonly signal: AbortSignal;
  /** Bytes fetched. */
  readonly onDownload: (progress: Progress) => void;
  /** Bytes of one model after the other that are in memory. */
  readonly onLoad: (progress: Progress) => void;
  readonly onMoved: (desk: Frontdesk, change: BackendChange) => void;
}

export interface Progress {
  readonly loaded: number;
  readonly total: number;
}

const calls = new WeakMap<Frontdesk, Set<Promise<unknown>>>();

export async function openDesk({ config, ledger, choice, signal, onDownload, onLoad, onMoved }: Opening): Promise<Frontdesk> {
  const made: Frontdesk = await Frontdesk.create({
    model: config.model.id,
    ...(wantedModels(config).includes(config.reflex) && { reflex: config.reflex.id }),
    modelBaseUrl: MODELS_PATH,
    ...(config.upstream && { cloud: openaiCompatible({ url: COMPLETIONS_PATH, model: 'default', fetch: ledger.fetch }) }),
    backend: choice,
    onBackendChange: (change) => onMoved(made, change),
    monitor(target) {
      onProgress(target, 'downloadprogress', onDownload);
      onProgress(target, 'loadprogress', onLoad);
    },
    signal,
  });
  return made;
}

/** Notes a call, so that its desk does not end before it; gives the same call back. */
export function noteCall<T>(desk: Frontdesk, call: Promise<T>): Promise<T> {
  const open = calls.get(desk) ?? new Set();
  calls.set(desk, open.add(call));
  const settled = (): void => void open.delete(call);
  call.then(settled, settled);
  return call;
}

/** Ends a desk that gets no new calls, after those that it has. */
export async function endDesk(desk: Frontdesk): Promise<void> {
  for (let open = calls.get(desk); open !== undefined && open.size > 0; ) await Promise.allSettled(open);
  await desk.destroy();
}

function onProgress(target: EventTarget, name: 'downloadprogress' | 'loadprogress', listener: (event: ProgressEvent) => void): void {
  target.addEventListener(name, (event) => event instanceof ProgressEvent && listener(event));
}
