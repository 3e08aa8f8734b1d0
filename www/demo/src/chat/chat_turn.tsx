// One turn of the conversation; an answer says who gave it, why, how fast, and what left.
import type { JSX } from 'preact';
import { exactBytes, count, perSecond } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { completionSentence, originOf } from '../../../ui/provenance.js';
import type { Turn } from './conversation.js';

interface Props {
  readonly turn: Turn;
  /** What stands above is not sent any more. */
  readonly isFirstSent: boolean;
}

export function ChatTurn({ turn, isFirstSent }: Props): JSX.Element {
  const { who, text, phase, provenance } = turn;
  return (
    <li class="chat-turn" data-who={who} {...(provenance && { 'data-origin': originOf(provenance) })} {...(phase && { 'data-phase': phase })}>
      {isFirstSent && <p class="chat-divider">The model reads from here on</p>}
      <h3 class="chat-who">{who === 'visitor' ? 'You' : 'The model'}</h3>
      <p class="chat-text" data-testid={`chat-${who}`}>
        {phase === 'reading' ? <span class="soft">Reading …</span> : text}
      </p>
      {phase === 'stopped' && <p class="chat-source">Stopped. What was written so far stays.</p>}
      {provenance && <Source turn={turn} provenance={provenance} />}
    </li>
  );
}

function Source({ turn, provenance }: { readonly turn: Turn; readonly provenance: NonNullable<Turn['provenance']> }): JSX.Element {
  const { receipt, local, source } = provenance;
  const speed = source === 'device' && local ? perSecond(local.usage.completionTokens, local.timing.decodeMs) : undefined;
  return (
    <p class="chat-source figures" data-testid="chat-source">
      <Icon name={originOf(provenance) === 'here' ? 'here' : originOf(provenance) === 'office' ? 'office' : 'question'} /> {completionSentence(provenance, turn.threshold ?? 0)}{' '}
      {receipt ? `${exactBytes(receipt.bytes)} left this device.` : 'Nothing left this device.'}
      {local && speed !== undefined && ` ${count(local.usage.completionTokens)} tokens, ${speed}.`}
      {turn.isCut && ' It was cut at the longest answer that fits.'}
    </p>
  );
}
