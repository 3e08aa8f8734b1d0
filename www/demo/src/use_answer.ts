// One classification at a time: thinking, answered, stopped or failed.
import type { Classification } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import { placeOf } from './backends.js';
import type { Ledger } from './ledger.js';
import { noteCall } from './open_desk.js';
import { modeName, type Mode } from './modes.js';
import { isAbort, problemOf, type Problem } from './problems.js';
import { reasonToSend } from './provenance.js';
import type { ReadyState } from './use_model.js';

export interface Question {
  readonly text: string;
  readonly labels: readonly string[];
  readonly mode: Mode;
  readonly threshold: number;
}

export interface Answer {
  readonly question: Question;
  readonly result: Classification;
  /** Where the model here computed. */
  readonly ranOn: string;
}

export interface AnswerState {
  readonly phase: 'empty' | 'thinking' | 'answered' | 'stopped' | 'failed';
  /** The newest answer; kept on screen, dimmed, while the next one is made. */
  readonly answer?: Answer;
  readonly problem?: Problem;
}

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
