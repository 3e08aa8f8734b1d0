// What stands between a visitor and the language model: consent, download, or what is wrong.
import type { ComponentChildren, JSX } from 'preact';
import { percent, roundBytes, sentenceOf, timeLeft } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { ProblemNotice } from '../../ui/notices.js';
import { secondsLeft, type Transfer } from '../../ui/transfer.js';
import type { Model } from './use_model.js';

interface Props {
  readonly model: Model;
  /** Of the model's file; `null` where that is not known. */
  readonly bytes: number | null;
  readonly onStart: () => void;
  readonly online: boolean;
}

export function StartPanel({ model, bytes, online, onStart }: Props): JSX.Element | null {
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
      return <Waiting interrupted={state.interrupted} bytes={bytes} online={online} notes={model.notes} onStart={onStart} />;
    case 'downloading':
      return <Downloading transfer={state.transfer} onCancel={model.cancel} />;
    case 'loading':
      return <Loading share={state.share} onCancel={model.cancel} />;
  }
}

/** "Download 98 MB and start". */
export function downloadWords(bytes: number | null): string {
  return bytes === null ? 'Download and start' : `Download ${roundBytes(bytes)} and start`;
}

interface WaitingProps {
  readonly interrupted: Transfer | undefined;
  readonly bytes: number | null;
  readonly online: boolean;
  /** What the browser says against it beforehand, e.g. that there is little room. */
  readonly notes: readonly string[];
  readonly onStart: () => void;
}

function Waiting({ interrupted, bytes, online, notes, onStart }: WaitingProps): JSX.Element {
  return (
    <Panel
      title="The language model, for labels of your own and for chat"
      button={
        <button type="button" class="button button-main" disabled={!online} onClick={onStart}>
          <Icon name="download" />
          {interrupted ? 'Go on with the download' : downloadWords(bytes)}
        </button>
      }
    >
      <p>
        {interrupted
          ? `The download was stopped at ${roundBytes(interrupted.loaded)} of ${roundBytes(interrupted.total)}. It goes on from there.`
          : `It is bigger, so it waits for your word. ${bytes === null ? 'It is' : `${roundBytes(bytes)} are`} downloaded once and kept in this browser.`}
      </p>
      {notes.map((note) => (
        <p key={note} class="start-note">
          <Icon name="alert" /> {sentenceOf(note)}
        </p>
      ))}
    </Panel>
  );
}

function Downloading({ transfer, onCancel }: { readonly transfer: Transfer; readonly onCancel: () => void }): JSX.Element {
  return (
    <Panel title={`Downloading the language model: ${percent(transfer.loaded / transfer.total)}`} button={<Cancel onCancel={onCancel} />}>
      <progress value={transfer.loaded} max={transfer.total} aria-labelledby="start-title" />
      <TransferWords transfer={transfer} />
    </Panel>
  );
}

/** Bytes, speed and time left. */
export function TransferWords({ transfer }: { readonly transfer: Transfer }): JSX.Element {
  const left = secondsLeft(transfer);
  return (
    <p class="figures">
      {roundBytes(transfer.loaded)} of {roundBytes(transfer.total)}
      {transfer.rate > 0 && `, ${roundBytes(transfer.rate)} per second`}
      {left !== undefined && `, ${timeLeft(left)}`}
    </p>
  );
}

function Loading({ share, onCancel }: { readonly share: number | undefined; readonly onCancel: () => void }): JSX.Element {
  return (
    <Panel title="Starting the language model" button={<Cancel onCancel={onCancel} />}>
      <progress {...(share !== undefined && { value: share })} aria-labelledby="start-title" />
      <p>A file that has just arrived is checked first; then it is taken into memory.</p>
    </Panel>
  );
}

interface PanelProps {
  readonly title: string;
  readonly button: JSX.Element;
  readonly children: ComponentChildren;
}

function Panel({ title, button, children }: PanelProps): JSX.Element {
  return (
    <section class="start" aria-labelledby="start-title">
      <div class="start-words">
        <h2 id="start-title">{title}</h2>
        {children}
      </div>
      {button}
    </section>
  );
}

export function Cancel({ onCancel }: { readonly onCancel: () => void }): JSX.Element {
  return (
    <button type="button" class="button" onClick={onCancel}>
      <Icon name="close" />
      Cancel
    </button>
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
