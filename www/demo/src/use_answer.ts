// One classification at a time: thinking, answered, stopped or failed.
import type { Frontdesk } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { AnswerState, Question } from '../../ui/answer_state.js';
import type { Ledger } from '../../ui/ledger.js';
import { answeredBy, type LearntTask } from './learnt.js';
import { noteCall } from './open_desk.js';
import { modeName } from '../../ui/modes.js';
import { isAbort, problemOf } from '../../ui/problems.js';
import { reasonToSend } from '../../ui/provenance.js';
import { RunningCall, type Terms } from './running_call.js';

/** Who is asked. */
export interface Answerer {
  readonly desk: Frontdesk;
  /** Where the model computes. */
  readonly ranOn: string;
  /** Answers in the place of the language model. */
  readonly task?: LearntTask;
}

export interface Answering {
  readonly state: AnswerState;
  readonly run: (answerer: Answerer, question: Question) => void;
  readonly stop: () => void;
  /** What the page promises now: a call that was allowed more is stopped. */
  readonly heed: (now: Terms) => void;
}

export function useAnswer(ledger: Ledger): Answering {
  const [state, setState] = useState<AnswerState>({ phase: 'empty' });
  const running = useRef<RunningCall | undefined>(undefined);

  const run = useCallback(
    ({ desk, ranOn, task }: Answerer, question: Question) => {
      if (running.current !== undefined) return;
      const call = new RunningCall(question);
      running.current = call;
      ledger.begin('classify');
      setState(({ answer }) => ({ phase: 'thinking', ...(answer && { answer }) }));
      const { text, ...options } = question;
      noteCall(desk, desk.classify(text, { ...options, ...(task && { task: task.name }), signal: call.signal }))
        .then((result) => {
          ledger.reconcile(result.receipt);
          ledger.explain(reasonToSend(result, question));
          setState({ phase: 'answered', answer: { question, result, ranOn, by: answeredBy(result, task) } });
        })
        .catch((error: unknown) => {
          ledger.explain(`Mode “${modeName(question.mode)}”.`);
          const rest = isAbort(error) ? { phase: 'stopped' as const, ...(call.endedBy && { stoppedFor: call.endedBy }) } : { phase: 'failed' as const, problem: problemOf(error) };
          setState(({ answer }) => ({ ...rest, ...(answer && { answer }) }));
        })
        .finally(() => (running.current = undefined));
    },
    [ledger],
  );
  const stop = useCallback(() => running.current?.stop(), []);
  const heed = useCallback((now: Terms) => running.current?.heed(now), []);
  return useMemo(() => ({ state, run, stop, heed }), [state, run, stop, heed]);
}
