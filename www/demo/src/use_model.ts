// The models' life on this page: looked for, downloaded with consent, cancelled, resumed, ready.
import { Frontdesk, openaiCompatible, type ModelInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { bytesOf, COMPLETIONS_PATH, MODELS_PATH, wantedModels, type DemoConfig, type ModelFacts } from './config.js';
import type { Ledger } from './ledger.js';
import { isAbort, problemOf, type Problem } from './problems.js';
import { TransferMeter, TransferSum, type Transfer } from './transfer.js';

export type ModelState =
  | { readonly phase: 'checking' }
  | { readonly phase: 'unsupported'; readonly reasons: readonly string[] }
  /** Waiting for the visitor's word to fetch `files`; `interrupted` after a cancelled download, of which no half file is kept. */
  | { readonly phase: 'waiting'; readonly files: readonly ModelFacts[]; readonly interrupted?: Transfer }
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
  /** Files that are not on this device yet. */
  const missing = useRef<readonly ModelFacts[]>([]);

  const look = useCallback(async () => {
    const found = await Promise.all(
      wantedModels(config).map(async (file) => ({ file, ...(await Frontdesk.availability({ model: file.id, modelBaseUrl: MODELS_PATH })) })),
    );
    missing.current = found.filter(({ status }) => status !== 'available').map(({ file }) => file);
    return found;
  }, [config]);

  const start = useCallback(() => {
    if (running.current !== undefined) return;
    const controller = new AbortController();
    running.current = controller;
    const meter = new TransferMeter();
    const sum = new TransferSum(bytesOf(missing.current));
    let latest: Transfer | undefined;
    setState({ phase: 'loading' });
    Frontdesk.create({
      model: config.model.id,
      ...(wantedModels(config).includes(config.reflex) && { reflex: config.reflex.id }),
      modelBaseUrl: MODELS_PATH,
      ...(config.upstream && { cloud: openaiCompatible({ url: COMPLETIONS_PATH, model: 'default', fetch: ledger.fetch }) }),
      monitor(target) {
        onProgress(target, 'downloadprogress', ({ loaded, total }) => {
          latest = meter.measure(sum.add({ loaded, total }), performance.now());
          setState(loaded < total ? { phase: 'downloading', transfer: latest } : { phase: 'loading' });
        });
        onProgress(target, 'loadprogress', ({ loaded, total }) => setState({ phase: 'loading', share: total > 0 ? loaded / total : 0 }));
      },
      signal: controller.signal,
    })
      .then((desk) => setState({ phase: 'ready', desk, info: desk.info }))
      .catch(async (error: unknown) => {
        if (!isAbort(error)) return setState({ phase: 'failed', problem: problemOf(error) });
        await look();
        setState({ phase: 'waiting', files: missing.current, ...(latest !== undefined && latest.loaded > 0 && { interrupted: latest }) });
      })
      .finally(() => (running.current = undefined));
  }, [config, ledger, look]);

  const cancel = useCallback(() => running.current?.abort(), []);

  useEffect(() => {
    look()
      .then((found) => {
        const reasons = [...new Set(found.flatMap((file) => file.reasons))];
        setIsolated(found.every((file) => file.crossOriginIsolated));
        setNotes(reasons);
        if (found.some(({ status }) => status === 'unavailable')) setState({ phase: 'unsupported', reasons });
        // Models that were kept on an earlier visit cost no download, so they start by themselves.
        else if (missing.current.length === 0) start();
        else setState({ phase: 'waiting', files: missing.current });
      })
      .catch((error: unknown) => setState({ phase: 'failed', problem: problemOf(error) }));
  }, [look, start]);

  return useMemo(() => ({ state, isolated, notes, start, cancel }), [state, isolated, notes, start, cancel]);
}

function onProgress(target: EventTarget, name: 'downloadprogress' | 'loadprogress', listener: (event: ProgressEvent) => void): void {
  target.addEventListener(name, (event) => event instanceof ProgressEvent && listener(event));
}
