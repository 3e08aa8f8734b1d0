// Under the labels: which model answers for them, and what there is to choose from.
import type { JSX } from 'preact';
import { roundBytes } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { OWN_TASK, rowsOf, type LearntTask } from './learnt.js';
import { downloadWords } from './start_panel.js';
import type { Model } from './use_model.js';

interface Props {
  /** Has learnt these labels. */
  readonly task: LearntTask | undefined;
  readonly learnt: readonly LearntTask[];
  readonly model: Model;
  readonly bytes: number | null;
  readonly online: boolean;
  readonly onStart: () => void;
  readonly onUse: (task: LearntTask) => void;
}

export function WhoAnswers({ task, learnt, onUse, ...download }: Props): JSX.Element {
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

/** The language model for those who have just found that they need it. */
export function ModelButton({ model, bytes, online, onStart }: Pick<Props, 'model' | 'bytes' | 'online' | 'onStart'>): JSX.Element | null {
  if (model.state.phase !== 'waiting') return null;
  return (
    <button type="button" class="button" disabled={!online} onClick={onStart}>
      <Icon name="download" />
      {downloadWords(bytes)}
    </button>
  );
}
