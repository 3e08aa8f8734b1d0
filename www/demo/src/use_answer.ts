// One classification at a time: thinking, answered, stopped or failed.
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { AnswerState, Question } from '../../ui/answer_state.js';
import { placeOf } from '../../ui/backends.js';
import type { Ledger } from '../../ui/ledger.js';
import { noteCall } from './open_desk.js';
import { modeName } from '../../ui/modes.js';
import { isAbort, problemOf } from '../../ui/problems.js';
import { reasonToSend } from '../../ui/provenance.js';
import type { ReadyState } from './use_model.js';

export interface Answering {
  readonly state: AnswerState;
  readonly run: (model: ReadyState, question: Question) => void;
  readonly stop: () => void;
}

export function useAnswer(ledger: Ledger): Answering {
  const [state, setState] = useState<AnswerState>({ phase: 'empty' });
  const running = useRef<AbortController | undefined>(undefined);

  const run = useCallback(
    (model: ReadyState, question: Question) => {
      if (running.current !== undefined) return;
      const controller = new AbortController();
      running.current = controller;
      ledger.begin('classify');
      setState(({ answer }) => ({ phase: 'thinking', ...(answer && { answer }) }));
      const { text, ...options } = question;
      const { desk } = model;
      noteCall(desk, desk.classify(text, { ...options, signal: controller.signal }))
        .then((result) => {
          ledger.reconcile(result.receipt);
          ledger.explain(reasonToSend(result, { confidence: result.local?.confidence ?? null, threshold: question.threshold }));
          setState({ phase: 'answered', answer: { question, result, ranOn: placeOf(model).long } });
        })
        .catch((error: unknown) => {
          ledger.explain(`Mode “${modeName(question.mode)}”.`);
          const rest = isAbort(error) ? { phase: 'stopped' as const } : { phase: 'failed' as const, problem: problemOf(error) };
          setState(({ answer }) => ({ ...rest, ...(answer && { answer }) }));
        })
        .finally(() => (running.current = undefined));
    },
    [ledger],
  );
  const stop = useCallback(() => running.current?.abort(), []);
  return useMemo(() => ({ state, run, stop }), [state, run, stop]);
}
