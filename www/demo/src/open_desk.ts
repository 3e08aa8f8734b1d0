// Makes a desk with one model and the back office of this page, and ends one that another has replaced.
import { Frontdesk, openaiCompatible, type BackendChange, type CreateOptions } from 'frontdesk';
import { completionsUrl, MODELS_PATH, type DemoConfig } from './config.js';
import type { Ledger } from '../../ui/ledger.js';

export interface Opening {
  readonly config: DemoConfig;
  readonly ledger: Ledger;
  /** Which model it has, and where that computes. */
  readonly models: Pick<CreateOptions, 'model' | 'reflex' | 'backend'>;
  readonly signal: AbortSignal;
  /** Bytes fetched. */
  readonly onDownload: (progress: Progress) => void;
  /** Bytes that are in memory. */
  readonly onLoad: (progress: Progress) => void;
  readonly onMoved?: (desk: Frontdesk, change: BackendChange) => void;
}

export interface Progress {
  readonly loaded: number;
  readonly total: number;
}

const calls = new WeakMap<Frontdesk, Set<Promise<unknown>>>();

export async function openDesk({ config, ledger, models, signal, onDownload, onLoad, onMoved }: Opening): Promise<Frontdesk> {
  const made: Frontdesk = await Frontdesk.create({
    ...models,
    modelBaseUrl: MODELS_PATH,
    ...(config.upstream && { cloud: openaiCompatible({ url: completionsUrl(config), model: 'default', fetch: ledger.fetch }) }),
    onBackendChange: (change) => onMoved?.(made, change),
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
