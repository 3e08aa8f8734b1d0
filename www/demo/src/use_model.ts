// The model's life on this page: looked for, downloaded with consent, cancelled, resumed, ready.
import { Frontdesk, openaiCompatible, type ModelInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { COMPLETIONS_PATH, MODELS_PATH, type DemoConfig } from './config.js';
import type { Ledger } from './ledger.js';
import { isAbort, problemOf, type Problem } from './problems.js';
import { TransferMeter, type Transfer } from './transfer.js';

export type ModelState =
  | { readonly phase: 'checking' }
  | { readonly phase: 'unsupported'; readonly reasons: readonly string[] }
  /** Waiting for the visitor's word; `interrupted` after a cancelled download, of which nothing is kept. */
  | { readonly phase: 'waiting'; readonly interrupted?: Transfer }
  | { readonly phase: 'downloading'; readonly transfer: Transfer }
  /** The file is here; it is being checked and taken into memory. */
  | { readonly phase: 'loading'; readonly share?: number }
  | { readonly phase: 'ready'; readonly desk: Frontdesk; readonly info: ModelInfo | undefined }
  | { readonly phase: 'failed'; readonly problem: Problem };

export interface Model {
  readonly state: ModelState;
  /** Known once the browser was looked at. */
  readonly isolated: boolean | undefined;
  /** What may not be as good as it could be here, in the SDK's words. */
  readonly notes: readonly string[];
  readonly start: () => void;
  readonly cancel: () => void;
}

export function useModel(config: DemoConfig, ledger: Ledger): Model {
  const [state, setState] = useState<ModelState>({ phase: 'checking' });
  const [isolated, setIsolated] = useState<boolean>();
  const [notes, setNotes] = useState<readonly string[]>([]);
  const running = useRef<AbortController | undefined>(undefined);

  const start = useCallback(() => {
    if (running.current !== undefined) return;
    const controller = new AbortController();
    running.current = controller;
    const meter = new TransferMeter();
    let latest: Transfer | undefined;
    setState({ phase: 'loading' });
    Frontdesk.create({
      model: config.model.id,
      modelBaseUrl: MODELS_PATH,
      ...(config.upstream && { cloud: openaiCompatible({ url: COMPLETIONS_PATH, model: 'default', fetch: ledger.fetch }) }),
      monitor(target) {
        onProgress(target, 'downloadprogress', ({ loaded, total }) => {
          latest = meter.measure({ loaded, total }, performance.now());
          setState(loaded < total ? { phase: 'downloading', transfer: latest } : { phase: 'loading' });
        });
        onProgress(target, 'loadprogress', ({ loaded, total }) => setState({ phase: 'loading', share: total > 0 ? loaded / total : 0 }));
      },
      signal: controller.signal,
    })
      .then((desk) => setState({ phase: 'ready', desk, info: desk.info }))
      .catch((error: unknown) => {
        if (!isAbort(error)) return setState({ phase: 'failed', problem: problemOf(error) });
        setState(latest !== undefined && latest.loaded > 0 ? { phase: 'waiting', interrupted: latest } : { phase: 'waiting' });
      })
      .finally(() => (running.current = undefined));
  }, [config, ledger]);

  const cancel = useCallback(() => running.current?.abort(), []);

  useEffect(() => {
    Frontdesk.availability({ model: config.model.id, modelBaseUrl: MODELS_PATH })
      .then((found) => {
        setIsolated(found.crossOriginIsolated);
        setNotes(found.reasons);
        if (found.status === 'unavailable') setState({ phase: 'unsupported', reasons: found.reasons });
        // A model that was kept on an earlier visit costs no download, so it starts by itself.
        else if (found.status === 'available') start();
        else setState({ phase: 'waiting' });
      })
      .catch((error: unknown) => setState({ phase: 'failed', problem: problemOf(error) }));
  }, [config, start]);

  return useMemo(() => ({ state, isolated, notes, start, cancel }), [state, isolated, notes, start, cancel]);
}

function onProgress(target: EventTarget, name: 'downloadprogress' | 'loadprogress', listener: (event: ProgressEvent) => void): void {
  target.addEventListener(name, (event) => event instanceof ProgressEvent && listener(event));
}
