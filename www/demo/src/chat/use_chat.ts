// One conversation: what was said, the answer that is being written, and what happens when it grows too long.
import type { CompletionProvenance, Frontdesk } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { Ledger } from '../../../ui/ledger.js';
import { modeName, stoppedWords, type Mode } from '../../../ui/modes.js';
import { errorFacts, isAbort, problemOf, type Problem } from '../../../ui/problems.js';
import { completionSentence, reasonToSend } from '../../../ui/provenance.js';
import { noteCall } from '../open_desk.js';
import { RunningCall, type Terms } from '../running_call.js';
import { laterHalf, messagesOf, type Turn } from './conversation.js';

export interface ChatState {
  readonly turns: readonly Turn[];
  /** Turns before this one are no longer sent. */
  readonly first: number;
  /** What the visitor is writing. */
  readonly draft: string;
  readonly isBusy: boolean;
  readonly problem?: Problem;
  /** The conversation does not fit; the message is back in the box. */
  readonly isTooLong?: boolean;
  /** The mode, stricter than the one before, that an answer was stopped for. */
  readonly stoppedFor?: Mode;
  /** Said once to who listens. */
  readonly said: string;
}

export interface ChatOrder extends Terms {
  readonly desk: Frontdesk;
}

export interface Chat {
  readonly state: ChatState;
  readonly write: (draft: string) => void;
  readonly send: (order: ChatOrder) => void;
  /** Sends what is in the box without the earlier half of the conversation. */
  readonly sendShorter: (order: ChatOrder) => void;
  readonly stop: () => void;
  /** What the page promises now: an answer that was allowed more is stopped. */
  readonly heed: (now: Terms) => void;
  readonly begin: () => void;
}

const MAX_TOKENS = 256;
/** Each is about the latest message, and goes with the next. */
const NOTICES = ['problem', 'isTooLong', 'stoppedFor'] as const;
const EMPTY: ChatState = { turns: [], first: 0, draft: '', isBusy: false, said: '' };

export function useChat(ledger: Ledger): Chat {
  const [state, setState] = useState(EMPTY);
  const latest = useRef(state);
  const running = useRef<RunningCall | undefined>(undefined);
  const nextId = useRef(1);

  const patch = useCallback((change: Partial<ChatState>, gone: readonly (typeof NOTICES)[number][] = []) => {
    const after = { ...latest.current, ...change };
    for (const key of gone) delete after[key];
    latest.current = after;
    setState(after);
  }, []);

  const change = useCallback((id: number, more: Partial<Turn>) => patch({ turns: latest.current.turns.map((turn) => (turn.id === id ? { ...turn, ...more } : turn)) }), [patch]);

  const send = useCallback(
    (order: ChatOrder, from?: number) => {
      const { draft, turns, first: firstBefore } = latest.current;
      if (running.current !== undefined || draft.trim() === '') return;
      const first = from ?? firstBefore;
      const call = new RunningCall(order);
      running.current = call;
      const asked: Turn = { id: nextId.current++, who: 'visitor', text: draft.trim() };
      const answer: Turn = { id: nextId.current++, who: 'model', text: '', phase: 'reading', threshold: order.threshold };
      patch({ turns: [...turns, asked, answer], first, draft: '', isBusy: true, said: '' }, NOTICES);
      ledger.begin('chat');
      let text = '';
      const onPiece = (piece: string): void => {
        text += piece;
        change(answer.id, { text, phase: 'writing' });
      };
      noteCall(order.desk, complete(order, { messages: messagesOf([...turns, asked], first), signal: call.signal, onPiece }))
        .then(({ provenance, isCut }) => {
          ledger.reconcile(provenance.receipt);
          ledger.explain(reasonToSend(provenance, order));
          change(answer.id, { phase: 'done', provenance, ...(isCut && { isCut }) });
          patch({ said: `${text} ${completionSentence(provenance, order.threshold)}` });
        })
        .catch((error: unknown) => {
          ledger.explain(`Mode “${modeName(order.mode)}”.`);
          const stopped = { said: call.endedBy ? stoppedWords(call.endedBy) : 'Stopped.', ...(call.endedBy && { stoppedFor: call.endedBy }) };
          if (isAbort(error) && text !== '') {
            change(answer.id, { phase: 'stopped' });
            return patch(stopped);
          }
          // Nothing was answered: what was asked goes back into the box, before what was typed since; what was left out is read again.
          const typed = latest.current.draft;
          const back = { first: firstBefore, turns: latest.current.turns.filter(({ id }) => id < asked.id), draft: typed === '' ? asked.text : `${asked.text}\n${typed}` };
          if (text !== '') {
            change(answer.id, { phase: 'stopped' });
            return patch({ problem: problemOf(error) });
          }
          if (isAbort(error)) patch({ ...back, ...stopped });
          else if (errorFacts(error).code === 'context_overflow') patch({ ...back, isTooLong: true });
          else patch({ ...back, problem: problemOf(error) });
        })
        .finally(() => {
          running.current = undefined;
          patch({ isBusy: false });
        });
    },
    [ledger, patch, change],
  );

  const sendShorter = useCallback(
    (order: ChatOrder) => {
      const { turns, first } = latest.current;
      send(order, laterHalf(turns, first) ?? nextId.current);
    },
    [send],
  );

  const write = useCallback((draft: string) => patch({ draft }), [patch]);
  const stop = useCallback(() => running.current?.stop(), []);
  const heed = useCallback((now: Terms) => running.current?.heed(now), []);
  const begin = useCallback(() => {
    const { draft } = latest.current;
    if (running.current === undefined) patch({ ...EMPTY, draft, first: nextId.current }, NOTICES);
  }, [patch]);
  return useMemo(() => ({ state, write, send, sendShorter, stop, heed, begin }), [state, write, send, sendShorter, stop, heed, begin]);
}

interface Writing {
  readonly messages: ReturnType<typeof messagesOf>;
  readonly signal: AbortSignal;
  readonly onPiece: (piece: string) => void;
}

async function complete({ desk, mode, threshold }: ChatOrder, { messages, signal, onPiece }: Writing): Promise<{ readonly provenance: CompletionProvenance; readonly isCut: boolean }> {
  const chunks = desk.chat.completions.create(
    // Without the penalty a model this small soon says the same sentence again and again.
    { messages, max_tokens: MAX_TOKENS, temperature: 0.3, repetition_penalty: 1.15, stream: true },
    { signal, mode, threshold },
  );
  for await (const { choices, frontdesk } of chunks) {
    const piece = choices[0].delta.content ?? '';
    if (piece !== '') onPiece(piece);
    if (frontdesk !== undefined) return { provenance: frontdesk, isCut: choices[0].finish_reason === 'length' };
  }
  throw new Error('the answer did not end');
}
