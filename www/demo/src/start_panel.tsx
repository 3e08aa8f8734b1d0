// What stands between a visitor and the first answer: consent, download, or what is wrong.
import type { JSX } from 'preact';
import { bytesOf, REFLEX_ID, type ModelFacts } from './config.js';
import { percent, roundBytes, sentenceOf, timeLeft } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { ProblemNotice } from '../../ui/notices.js';
import { secondsLeft, type Transfer } from '../../ui/transfer.js';
import type { Model } from './use_model.js';

interface Props {
  readonly model: Model;
  readonly onStart: () => void;
  readonly online: boolean;
}

export function StartPanel({ model, online, onStart }: Props): JSX.Element | null {
  const { state } = model;
  switch (state.phase) {
    case 'checking':
    case 'ready':
      return null;
    case 'unsupported':
      return <Unsupported reasons={state.reasons} />;
    case 'failed':
      return <ProblemNotice problem={state.problem} action={{ name: 'Try again', run: onStart }} />;
    case 'waiting':
      return <Waiting interrupted={state.interrupted} files={state.files} online={online} notes={model.notes} onStart={onStart} />;
    case 'downloading':
      return <Downloading transfer={state.transfer} onCancel={model.cancel} />;
    case 'loading':
      return <Loading share={state.share} onCancel={model.cancel} />;
  }
}

interface WaitingProps {
  readonly interrupted: Transfer | undefined;
  /** What is to be fetched. */
  readonly files: readonly ModelFacts[];
  readonly online: boolean;
  /** What the browser says against it beforehand, e.g. that there is little room. */
  readonly notes: readonly string[];
  readonly onStart: () => void;
}

function Waiting({ interrupted, files, online, notes, onStart }: WaitingProps): JSX.Element {
  const bytes = bytesOf(files);
  const size = bytes === null ? '' : roundBytes(bytes);
  return (
    <section class="start" aria-labelledby="start-title">
      <div class="start-words">
        <h2 id="start-title">A small language model, on your device</h2>
        <p>
          {interrupted
            ? `The download was stopped at ${roundBytes(interrupted.loaded)} of ${roundBytes(interrupted.total)}. Half a file is not kept, so it takes no space.`
            : `It answers in this tab, without a network. ${size === '' ? 'It is' : `${size} are`} downloaded once and kept in this browser${partsOf(files)}.`}
        </p>
        {notes.map((note) => (
          <p key={note} class="start-note">
            <Icon name="alert" /> {sentenceOf(note)}
          </p>
        ))}
      </div>
      <button type="button" class="button button-main" disabled={!online} onClick={onStart}>
        <Icon name="download" />
        {interrupted ? 'Download again' : size === '' ? 'Download and start' : `Download ${size} and start`}
      </button>
    </section>
  );
}

/** ": 98 MB for the language model, 25 MB for the small one that learns". */
function partsOf(files: readonly ModelFacts[]): string {
  if (files.length < 2 || bytesOf(files) === null) return '';
  const parts = files.map(({ id, bytes }) => `${roundBytes(bytes ?? 0)} for ${id === REFLEX_ID ? 'the small model that learns from examples' : 'the language model'}`);
  return `: ${parts.reverse().join(', ')}`;
}

function Downloading({ transfer, onCancel }: { readonly transfer: Transfer; readonly onCancel: () => void }): JSX.Element {
  const left = secondsLeft(transfer);
  const share = transfer.loaded / transfer.total;
  return (
    <section class="start" aria-labelledby="start-title">
      <div class="start-words">
        <h2 id="start-title">Downloading: {percent(share)}</h2>
        <progress value={transfer.loaded} max={transfer.total} aria-labelledby="start-title" />
        <p class="figures">
          {roundBytes(transfer.loaded)} of {roundBytes(transfer.total)}
          {transfer.rate > 0 && `, ${roundBytes(transfer.rate)} per second`}
          {left !== undefined && `, ${timeLeft(left)}`}
        </p>
      </div>
      <button type="button" class="button" onClick={onCancel}>
        <Icon name="close" />
        Cancel
      </button>
    </section>
  );
}

function Loading({ share, onCancel }: { readonly share: number | undefined; readonly onCancel: () => void }): JSX.Element {
  return (
    <section class="start" aria-labelledby="start-title">
      <div class="start-words">
        <h2 id="start-title">Starting the model</h2>
        <progress {...(share !== undefined && { value: share })} aria-labelledby="start-title" />
        <p>A file that has just arrived is checked first; then it is taken into memory.</p>
      </div>
      <button type="button" class="button" onClick={onCancel}>
        <Icon name="close" />
        Cancel
      </button>
    </section>
  );
}

function Unsupported({ reasons }: { readonly reasons: readonly string[] }): JSX.Element {
  return (
    <section class="notice notice-error" role="alert">
      <Icon name="alert" />
      <div>
        <h2>This browser cannot run the model.</h2>
        {reasons.length > 0 && (
          <ul>
            {reasons.map((reason) => (
              <li key={reason}>{sentenceOf(reason)}</li>
            ))}
          </ul>
        )}
        <p>Nothing was downloaded and nothing was sent. A current Chrome, Edge, Firefox or Safari can run it.</p>
      </div>
    </section>
  );
}
