// One run at a time, of whichever kind: reading, answered, written, stopped or failed; the newest run wins.
import type { CompletionProvenance } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import { isAbort, type Problem } from '../../../ui/problems.js';
import type { Job } from '../shared/jobs.js';
import { panelProblem } from '../shared/problems.js';
import type { Answered } from '../shared/protocol.js';
import type { EngineConnection } from './engine_connection.js';

export interface RunState {
  readonly phase: 'empty' | 'running' | 'done' | 'stopped' | 'failed';
  readonly job: Job;
  /** What it is about. */
  readonly text: string;
  /** Of the reading, 0 to 1, where it is known. */
  readonly share?: number;
  /** Of classify and route. */
  readonly answer?: Answered;
  /** What was written so far. */
  readonly summary: string;
  readonly threshold: number;
  readonly provenance?: CompletionProvenance;
  readonly problem?: Problem;
}

export interface Running {
  readonly state: RunState;
  readonly run: (job: Job, text: string) => void;
  readonly stop: () => void;
  /** Shows what is wrong with a text that is not even run. */
  readonly refuse: (job: Job, problem: Problem) => void;
}

const EMPTY: RunState = { phase: 'empty', job: 'classify', text: '', summary: '', threshold: 0 };

export function useRun(connection: EngineConnection): Running {
  const [state, setState] = useState<RunState>(EMPTY);
  const current = useRef<AbortController | undefined>(undefined);

  const stop = useCallback(() => current.current?.abort(), []);
  const run = useCallback(
    (job: Job, text: string) => {
      stop();
      const controller = new AbortController();
      current.current = controller;
      connection.forgetRestart();
      // Of a run that another one has replaced nothing is shown any more.
      const update = (change: (before: RunState) => RunState): void => {
        if (current.current === controller) setState(change);
      };
      setState({ ...EMPTY, phase: 'running', job, text });
      work(connection, { job, text, signal: controller.signal, update }).catch((error: unknown) => {
        update((before) => (isAbort(error) ? { ...before, phase: 'stopped' } : { ...before, phase: 'failed', problem: panelProblem(error) }));
      });
    },
    [connection, stop],
  );
  const refuse = useCallback(
    (job: Job, problem: Problem) => {
      stop();
      current.current = undefined;
      setState({ ...EMPTY, phase: 'failed', job, problem });
    },
    [stop],
  );
  return useMemo(() => ({ state, run, stop, refuse }), [state, run, stop, refuse]);
}

interface Work {
  readonly job: Job;
  readonly text: string;
  readonly signal: AbortSignal;
  readonly update: (change: (before: RunState) => RunState) => void;
}

async function work(connection: EngineConnection, { job, text, signal, update }: Work): Promise<void> {
  if (job === 'summarise') {
    const onEvent = ({ piece }: { readonly piece: string }): void => update((before) => ({ ...before, summary: before.summary + piece }));
    const { text: summary, threshold, provenance } = await connection.call('summarise', { text }, { signal, onEvent });
    update((before) => ({ ...before, phase: 'done', summary, threshold, ...(provenance !== null && { provenance }) }));
    return;
  }
  const onEvent = ({ done, total }: { readonly done: number; readonly total: number }): void => update((before) => ({ ...before, share: total === 0 ? 0 : done / total }));
  const answer = await connection.call(job, { text }, { signal, onEvent });
  update((before) => ({ ...before, phase: 'done', answer }));
}
