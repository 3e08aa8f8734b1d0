// Where the first answer will be: how far the small model is, or why it is not there and what to do.
import type { JSX } from 'preact';
import { roundBytes } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { ProblemNotice } from '../../ui/notices.js';
import { Cancel, TransferWords } from './start_panel.js';
import type { Reflex, ReflexState } from './use_reflex.js';

interface Props {
  readonly reflex: Reflex;
  /** Of its file; `null` where that is not known. */
  readonly bytes: number | null;
}

export function ReflexPanel({ reflex, bytes }: Props): JSX.Element | null {
  const { state } = reflex;
  if (state.phase === 'ready') return state.problem ? <ProblemNotice problem={state.problem} /> : null;
  if (state.phase === 'unsupported') return null;
  if (state.phase === 'failed') return <ProblemNotice problem={state.problem} action={{ name: 'Try again', run: reflex.start }} />;
  return (
    <div class="reflex" data-phase={state.phase}>
      <p class="visually-hidden" role="status">
        {announced(state, bytes)}
      </p>
      <p id="reflex-title">
        <strong>{title(state)}</strong>
      </p>
      {state.phase === 'waiting' ? (
        <>
          <p class="soft">{reasonWords(state.why)}</p>
          <button type="button" class="button button-main" disabled={state.why === 'offline' && !navigator.onLine} onClick={reflex.start}>
            <Icon name="download" />
            Load the small model{sizeWords(bytes)}
          </button>
        </>
      ) : state.phase === 'missing' ? (
        <p class="soft">This host has the language model alone. It answers for any labels once it has started; nothing can be learnt.</p>
      ) : (
        <>
          <progress {...(state.phase === 'downloading' && { value: state.transfer.loaded, max: state.transfer.total })} aria-labelledby="reflex-title" />
          <div class="reflex-row">
            {state.phase === 'downloading' ? <TransferWords transfer={state.transfer} /> : <p class="figures">{state.phase === 'learning' ? 'A moment.' : `It is fetched once${sizeWords(bytes)} and kept in this browser.`}</p>}
            <Cancel onCancel={reflex.cancel} />
          </div>
        </>
      )}
    </div>
  );
}

function title({ phase }: ReflexState): string {
  switch (phase) {
    case 'downloading':
      return 'Downloading the small model';
    case 'learning':
      return 'Learning from the sample messages';
    case 'waiting':
      return 'The small model is not loaded';
    case 'missing':
      return 'No small model here';
    default:
      return 'Starting the small model';
  }
}

/** Once a phase, not once a percent. */
function announced(state: ReflexState, bytes: number | null): string {
  return state.phase === 'downloading' ? `Downloading the small model${sizeWords(bytes)}.` : `${title(state)}.`;
}

function sizeWords(bytes: number | null): string {
  return bytes === null ? '' : ` (${roundBytes(bytes)})`;
}

function reasonWords(why: 'save_data' | 'cancelled' | 'offline'): string {
  switch (why) {
    case 'save_data':
      return 'Your browser is set to save data, so nothing was fetched. It learns from sample messages in this tab and then answers in milliseconds.';
    case 'cancelled':
      return 'It was stopped. What has arrived is kept, and it goes on from there.';
    case 'offline':
      return 'You are offline, and it is not kept in this browser yet.';
  }
}
