// The small model's life on this page: loaded when the page opens, taught with the sample rows, cancelled, asked for, ready.
import { Frontdesk, type TaskInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Ledger } from '../../ui/ledger.js';
import { isAbort, problemOf, teachingProblemOf, type Problem } from '../../ui/problems.js';
import { TransferMeter, type Transfer } from '../../ui/transfer.js';
import { MODELS_PATH, REFLEX_ID, type DemoConfig } from './config.js';
import { SAMPLE_TASK } from './learnt.js';
import { openDesk } from './open_desk.js';
import { SAMPLE_ROWS } from './sample_rows.js';

export type ReflexState =
  | { readonly phase: 'checking' }
  | { readonly phase: 'unsupported' }
  /** The host has the language model alone. */
  | { readonly phase: 'missing' }
  /** Loaded when the visitor says so. */
  | { readonly phase: 'waiting'; readonly why: 'save_data' | 'cancelled' | 'offline' }
  | { readonly phase: 'downloading'; readonly transfer: Transfer }
  | { readonly phase: 'loading' }
  | { readonly phase: 'learning' }
  /** `problem`: why the sample rows were not learnt; without them it can still be taught. */
  | { readonly phase: 'ready'; readonly desk: Frontdesk; readonly sample?: TaskInfo; readonly problem?: Problem }
  | { readonly phase: 'failed'; readonly problem: Problem };

export interface Reflex {
  readonly state: ReflexState;
  readonly desk: Frontdesk | undefined;
  readonly start: () => void;
  readonly cancel: () => void;
}


export function useReflex(config: DemoConfig, ledger: Ledger): Reflex {
  const [state, setState] = useState<ReflexState>({ phase: 'checking' });
  const running = useRef<AbortController | undefined>(undefined);

  const start = useCallback(() => {
    if (running.current !== undefined) return;
    const controller = new AbortController();
    const { signal } = controller;
    running.current = controller;
    const meter = new TransferMeter();
    setState({ phase: 'loading' });
    const open = async (): Promise<void> => {
      const desk = await openDesk({
        config,
        ledger,
        models: { model: null, reflex: REFLEX_ID },
        signal,
        onDownload: (progress) => setState(progress.loaded < progress.total ? { phase: 'downloading', transfer: meter.measure(progress, performance.now()) } : { phase: 'loading' }),
        onLoad: () => setState({ phase: 'loading' }),
      });
      try {
        setState({ phase: 'learning' });
        setState({ phase: 'ready', desk, sample: await taughtSample(desk, signal) });
      } catch (error) {
        if (!isAbort(error)) return setState({ phase: 'ready', desk, problem: teachingProblemOf(error) });
        void desk.destroy();
        throw error;
      }
    };
    open()
      .catch((error: unknown) => setState(isAbort(error) ? { phase: 'waiting', why: 'cancelled' } : { phase: 'failed', problem: problemOf(error) }))
      .finally(() => (running.current = undefined));
  }, [config, ledger]);

  useEffect(() => {
    if (config.model.bytes !== null && config.reflex.bytes === null) return setState({ phase: 'missing' });
    Frontdesk.availability({ model: REFLEX_ID, modelBaseUrl: MODELS_PATH })
      .then(({ status }) => {
        if (status === 'unavailable') setState({ phase: 'unsupported' });
        else if (status === 'available' || !(savesData() || !navigator.onLine)) start();
        else setState({ phase: 'waiting', why: navigator.onLine ? 'save_data' : 'offline' });
      })
      .catch((error: unknown) => setState({ phase: 'failed', problem: problemOf(error) }));
  }, [config, start]);

  const cancel = useCallback(() => running.current?.abort(), []);
  const desk = state.phase === 'ready' ? state.desk : undefined;
  return useMemo(() => ({ state, desk, start, cancel }), [state, desk, start, cancel]);
}

/** What an earlier visit has learnt from the same rows is still there. */
async function taughtSample(desk: Frontdesk, signal: AbortSignal): Promise<TaskInfo> {
  const task = desk.task(SAMPLE_TASK);
  const known = await task.info();
  signal.throwIfAborted();
  return known?.report.examples === SAMPLE_ROWS.length ? known : task.learn(SAMPLE_ROWS, { signal });
}

/** Only Chromium's browsers tell. */
function savesData(): boolean {
  const { connection } = navigator as { readonly connection?: { readonly saveData?: boolean } };
  return connection?.saveData === true;
}
