// A conversation as it is shown, and what of it the model is sent.
import type { CompletionProvenance } from 'frontdesk';

export interface Turn {
  readonly id: number;
  readonly who: 'visitor' | 'model';
  readonly text: string;
  /** Of the model's turns: `reading` until the first word. */
  readonly phase?: 'reading' | 'writing' | 'done' | 'stopped';
  /** The threshold of that turn, for its sentence. */
  readonly threshold?: number;
  readonly provenance?: CompletionProvenance;
  /** It stopped because the room for an answer was used up. */
  readonly isCut?: boolean;
}

interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

const INSTRUCTION = 'You are a helpful assistant. You answer briefly and politely.';

/** The turns from `first` on; unfinished ones as far as they came. */
export function messagesOf(turns: readonly Turn[], first: number): readonly Message[] {
  const said = turns.filter(({ id, text }) => id >= first && text !== '');
  return [{ role: 'system', content: INSTRUCTION }, ...said.map(({ who, text }) => ({ role: who === 'visitor' ? ('user' as const) : ('assistant' as const), content: text }))];
}

/** The first turn of the shorter half, which begins with the visitor; `undefined` where there is nothing to leave out. */
export function laterHalf(turns: readonly Turn[], first: number): number | undefined {
  const asked = turns.filter(({ id, who }) => id >= first && who === 'visitor');
  return asked.length < 2 ? undefined : asked[Math.ceil(asked.length / 2)]?.id;
}
