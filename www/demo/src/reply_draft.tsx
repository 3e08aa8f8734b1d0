// The second tab: a reply that streams in, with its speed and a stop button.
import type { JSX } from 'preact';
import { count, perSecond } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { ProblemNotice } from '../../ui/notices.js';
import { completionSentence, originOf } from '../../ui/provenance.js';
import type { DraftState } from './use_draft.js';

interface Props {
  readonly state: DraftState;
  readonly canDraft: boolean;
  readonly onDraft: () => void;
  readonly onStop: () => void;
}

export function ReplyDraft({ state, canDraft, onDraft, onStop }: Props): JSX.Element {
  const busy = state.phase === 'reading' || state.phase === 'writing';
  const speed = speedWords(state);
  return (
    <div class="draft" data-phase={state.phase} {...(state.provenance && { 'data-origin': originOf(state.provenance) })}>
      <div class="run-row">
        {busy ? (
          <button type="button" class="button button-main" onClick={onStop}>
            <Icon name="stop" />
            Stop
          </button>
        ) : (
          <button type="button" class="button button-main" aria-disabled={!canDraft} onClick={onDraft}>
            <Icon name="run" />
            {state.phase === 'empty' ? 'Draft a reply' : 'Draft again'}
          </button>
        )}
        <span class="run-hint figures">{speed}</span>
      </div>
      <p class="visually-hidden" role="status">
        {state.phase === 'done' && `The draft is ready: ${state.text}`}
        {state.phase === 'stopped' && 'Stopped.'}
      </p>
      {state.problem && <ProblemNotice problem={state.problem} />}
      <div class="draft-text" data-testid="draft-text" aria-busy={busy} tabIndex={0} role="region" aria-label="Draft">
        {state.text !== '' ? state.text : <span class="draft-hint">{state.phase === 'reading' ? 'Reading the message …' : 'A short reply to the message appears here, word by word.'}</span>}
      </div>
      <p class="answer-sentence">{state.provenance ? completionSentence(state.provenance, state.threshold) : state.phase === 'stopped' ? 'Stopped. What was written so far stays.' : ' '}</p>
      <p class="draft-note">A small model writes this: read it before you send it.</p>
    </div>
  );
}

function speedWords(state: DraftState): string {
  const local = state.provenance?.source === 'device' ? state.provenance.local : undefined;
  if (local) {
    const speed = perSecond(local.usage.completionTokens, local.timing.decodeMs);
    return `${count(local.usage.completionTokens)} tokens${speed === undefined ? '' : `, ${speed}`}`;
  }
  // The first piece marks the start of the clock, so it is not counted.
  if (state.phase === 'writing') return perSecond(state.pieces - 1, state.writingMs) ?? '';
  return '';
}
