// Who may answer, in words: a row of choices, or a select where there is no room.
import type { JSX } from 'preact';
import { isMode, MODES, type Mode } from './modes.js';
import { useMediaQuery } from './use_media.js';

interface Props {
  readonly mode: Mode;
  readonly upstream: boolean;
  readonly onMode: (mode: Mode) => void;
}

export function ModeSwitch(props: Props): JSX.Element {
  return useMediaQuery('(min-width: 720px)') ? <ModeRow {...props} /> : <ModeSelect {...props} />;
}

function ModeRow({ mode, upstream, onMode }: Props): JSX.Element {
  return (
    <fieldset class="mode-row">
      <legend class="visually-hidden">Who answers</legend>
      {MODES.map((words) => (
        <label key={words.mode} class="mode-choice">
          <input
            type="radio"
            name="mode"
            value={words.mode}
            checked={words.mode === mode}
            disabled={words.needsBackOffice && !upstream}
            onChange={() => onMode(words.mode)}
          />
          <span>{words.name}</span>
        </label>
      ))}
    </fieldset>
  );
}

function ModeSelect({ mode, upstream, onMode }: Props): JSX.Element {
  return (
    <label class="mode-select">
      <span class="visually-hidden">Who answers</span>
      <select
        value={mode}
        onChange={(event) => {
          const next = event.currentTarget.value;
          if (isMode(next)) onMode(next);
        }}
      >
        {MODES.map((words) => (
          <option key={words.mode} value={words.mode} disabled={words.needsBackOffice && !upstream}>
            {words.name}
          </option>
        ))}
      </select>
    </label>
  );
}
