// A summary that streams in.
import type { JSX } from 'preact';
import { count, perSecond } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { completionSentence, originOf } from '../../../ui/provenance.js';
import type { RunState } from './use_run.js';

interface Props {
  readonly state: RunState;
  /** What is in the box now. */
  readonly text: string;
}

export function SummaryCard({ state, text }: Props): JSX.Element {
  const { phase, summary, provenance, threshold } = state;
  const isEarlier = state.text !== text;
  const origin = provenance === undefined ? undefined : originOf(provenance);
  const local = provenance?.source === 'device' ? provenance.local : undefined;
  const speed = local && perSecond(local.usage.completionTokens, local.timing.decodeMs);
  return (
    <div class="answer-body summary" data-origin={origin}>
      {(origin !== undefined || isEarlier) && (
        <p>
          {origin !== undefined && (
            <span class="answer-origin">
              <Icon name={origin === 'office' ? 'office' : 'here'} /> {origin === 'office' ? 'Back office' : 'Here'}
            </span>
          )}
          {isEarlier && <span class="answer-earlier">of the text before</span>}
        </p>
      )}
      <div class="summary-text" data-testid="summary" aria-busy={phase === 'running'} tabIndex={0} role="region" aria-label="Summary">
        {summary === '' ? <span class="hint">{phase === 'running' ? 'Reading …' : 'Nothing was written.'}</span> : summary}
      </div>
      {provenance !== undefined && (
        <p class="answer-sentence" data-testid="summary-sentence">
          {completionSentence(provenance, threshold)}
        </p>
      )}
      {local !== undefined && (
        <p class="answer-speed">
          {count(local.usage.completionTokens)} tokens{speed === undefined ? '' : `, ${speed}`}
        </p>
      )}
      {phase === 'stopped' && <p class="hint">Stopped. What was written so far stays.</p>}
      <p class="hint">A small model writes this: check it against the text.</p>
    </div>
  );
}
