// Labels as chips that are text fields: type to rename, Enter to add, the cross or an empty name to remove.
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Icon } from './icons.js';

interface Props {
  readonly labels: readonly string[];
  readonly onLabels: (labels: readonly string[]) => void;
  readonly usable: number;
}

const MAX_LABELS = 30;
const MAX_LENGTH = 40;

export function LabelsEditor({ labels, onLabels, usable }: Props): JSX.Element {
  const [fresh, setFresh] = useState('');
  const field = useRef<HTMLInputElement>(null);

  const rename = (index: number, name: string): void => onLabels(labels.map((label, at) => (at === index ? name : label)));
  const remove = (index: number): void => {
    onLabels(labels.filter((_, at) => at !== index));
    // The focused chip is about to vanish: go on at the field that adds.
    field.current?.focus();
  };
  const add = (): void => {
    const name = fresh.trim();
    if (name === '' || labels.length >= MAX_LABELS) return;
    if (!labels.includes(name)) onLabels([...labels, name]);
    setFresh('');
  };

  return (
    <div class="labels" role="group" aria-labelledby="labels-title">
      <h3 id="labels-title">Labels</h3>
      <ul class="label-list">
        {labels.map((label, index) => (
          // Renaming must not move the focus, so a chip is known by its place.
          <li key={index} class="label-chip">
            <Sized text={label}>
              <input
                type="text"
                value={label}
                maxLength={MAX_LENGTH}
                size={1}
                spellcheck={false}
                aria-label={`Label ${index + 1}`}
                onInput={(event) => rename(index, event.currentTarget.value)}
                onBlur={() => label.trim() === '' && labels.length > 2 && onLabels(labels.filter((_, at) => at !== index))}
              />
            </Sized>
            <button type="button" aria-label={`Remove label ${label}`} onClick={() => remove(index)}>
              <Icon name="close" />
            </button>
          </li>
        ))}
        <li class="label-chip label-add">
          <Sized text={fresh === '' ? 'add a label' : fresh}>
            <input
              ref={field}
              type="text"
              value={fresh}
              maxLength={MAX_LENGTH}
              size={1}
              placeholder="add a label"
              aria-label="Add a label, then press Enter"
              onInput={(event) => setFresh(event.currentTarget.value)}
              onKeyDown={(event) => event.key === 'Enter' && !event.ctrlKey && !event.metaKey && add()}
              onBlur={add}
            />
          </Sized>
          <button type="button" aria-label="Add this label" disabled={fresh.trim() === ''} onClick={add}>
            <Icon name="add" />
          </button>
        </li>
      </ul>
      {usable < labels.length && <p class="labels-note">Empty and repeated labels are left out.</p>}
    </div>
  );
}

/** A text field as wide as its text: the hidden copy in the same grid cell sets the width. */
function Sized({ text, children }: { readonly text: string; readonly children: JSX.Element }): JSX.Element {
  return (
    <span class="sized">
      <span class="sized-copy" aria-hidden="true">
        {text === '' ? ' ' : text}
      </span>
      {children}
    </span>
  );
}
