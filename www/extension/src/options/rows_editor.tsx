// Labels or queues: rows of a name and a description.
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { Icon } from '../../../ui/icons.js';
import { LIMITS } from '../shared/settings.js';
import type { Row } from './form.js';

interface Props {
  /** "Label" or "Queue". */
  readonly what: string;
  readonly rows: readonly Row[];
  readonly problem: string | undefined;
  readonly onRows: (rows: readonly Row[]) => void;
}

export function RowsEditor({ what, rows, problem, onRows }: Props): JSX.Element {
  const add = useRef<HTMLButtonElement>(null);
  const change = (index: number, part: Partial<Row>): void => onRows(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));
  const remove = (index: number): void => {
    onRows(rows.filter((_, at) => at !== index));
    // The focused button is about to vanish.
    add.current?.focus();
  };
  const isFull = rows.length >= LIMITS.choices;
  return (
    <>
      <div class="rows">
        {rows.map(({ name, description }, index) => (
          // Renaming must not move the focus, so a row is known by its place.
          <div key={index} class="row">
            <input class="field" type="text" value={name} maxLength={LIMITS.name} placeholder="name" aria-label={`${what} ${index + 1}: name`} aria-invalid={problem !== undefined} onInput={(event) => change(index, { name: event.currentTarget.value })} />
            <input
              class="field"
              type="text"
              value={description}
              maxLength={LIMITS.description}
              placeholder="what belongs there (may be left out)"
              aria-label={`${what} ${index + 1}: what belongs there`}
              onInput={(event) => change(index, { description: event.currentTarget.value })}
            />
            <button type="button" class="button button-quiet" aria-label={`Remove ${what.toLowerCase()} ${name === '' ? index + 1 : name}`} onClick={() => remove(index)}>
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
      {problem !== undefined && (
        <p class="hint hint-error" role="alert">
          {problem}
        </p>
      )}
      <div class="inline">
        {/* A button that is disabled loses the focus, and could not be given it. */}
        <button ref={add} type="button" class="button" aria-disabled={isFull} onClick={() => !isFull && onRows([...rows, { name: '', description: '' }])}>
          <Icon name="add" />
          Add a {what.toLowerCase()}
        </button>
        <span class="hint" role="status">
          {isFull && `At most ${LIMITS.choices} are possible.`}
        </span>
      </div>
    </>
  );
}
