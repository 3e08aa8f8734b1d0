// Under the labels: which model answers for them, and what there is to choose from.
import type { JSX } from 'preact';
import { percent, roundBytes } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { OWN_TASK, rowsOf, type LearntTask } from './learnt.js';
import { Cancel, downloadWords } from './start_panel.js';
import type { Model } from './use_model.js';

interface Props {
  /** Has learnt these labels. */
  readonly task: LearntTask | undefined;
  /** The small model is on its way, and these are the labels that it will learn. */
  readonly isComing: boolean;
  readonly learnt: readonly LearntTask[];
  readonly model: Model;
  readonly bytes: number | null;
  readonly online: boolean;
  readonly onStart: () => void;
  readonly onUse: (task: LearntTask) => void;
}

export function WhoAnswers({ task, isComing, learnt, onUse, ...download }: Props): JSX.Element {
  if (isComing) return <p class="soft">The small model is about to learn these.</p>;
  return (
    <div class="who" data-testid="who-answers">
      <p>
        {task !== undefined
          ? `The small model has learnt these, from ${rowsOf(task)}.`
          : download.model.state.phase === 'ready'
            ? 'Nothing has learnt these labels: the language model weighs them.'
            : `Nothing has learnt these labels, so they take the language model${download.bytes === null ? '' : ` (${roundBytes(download.bytes)})`}.`}
      </p>
      <div class="button-row">
        {task === undefined && <ModelButton {...download} />}
        {learnt
          .filter((other) => other !== task)
          .map((other) => (
            <button key={other.name} type="button" class="button" onClick={() => onUse(other)}>
              Use the {other.name === OWN_TASK ? 'labels you taught' : 'sample labels'}
            </button>
          ))}
      </div>
    </div>
  );
}

/** The language model for those who have just found that they need it, and how far it is. */
export function ModelButton({ model, bytes, online, onStart }: Pick<Props, 'model' | 'bytes' | 'online' | 'onStart'>): JSX.Element | null {
  const { state } = model;
  if (state.phase === 'downloading' || state.phase === 'loading') {
    const share = state.phase === 'downloading' ? state.transfer.loaded / state.transfer.total : undefined;
    return (
      <div class="model-way figures">
        <progress {...(share !== undefined && { value: share })} aria-label="The language model is on its way" />
        <span>{share === undefined ? 'Starting' : `Downloading: ${percent(share)}`}</span>
        <Cancel onCancel={model.cancel} />
      </div>
    );
  }
  if (state.phase !== 'waiting') return null;
  return (
    <button type="button" class="button" disabled={!online} onClick={onStart}>
      <Icon name="download" />
      {state.interrupted ? 'Go on with the download' : downloadWords(bytes)}
    </button>
  );
}
