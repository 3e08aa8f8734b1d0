// The desk: the text, samples, labels, how sure the model must be, and the run button.
import type { JSX } from 'preact';
import { percent } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import { LabelsEditor } from '../../ui/labels_editor.js';
import { SAMPLES } from './samples.js';

interface Props {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly labels: readonly string[];
  readonly onLabels: (labels: readonly string[]) => void;
  /** How many are left without blanks and repeats. */
  readonly usableLabels: number;
  readonly threshold: number;
  readonly onThreshold: (threshold: number) => void;
  readonly thresholdMatters: boolean;
  /** What happens to the text in the chosen mode; the top bar says it where there is room. */
  readonly promise: string;
  /** Who answers for these labels, and what else could be done. */
  readonly who: JSX.Element;
  /** Why nobody can answer yet. */
  readonly obstacle: string | undefined;
  readonly idle: boolean;
  readonly thinking: boolean;
  readonly onRun: () => void;
  readonly onStop: () => void;
}

export function DeskPane(props: Props): JSX.Element {
  const { text, onText, onRun } = props;
  const runByKeyboard = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onRun();
    }
  };
  return (
    <section class="pane" aria-labelledby="desk-title" onKeyDown={runByKeyboard}>
      <h2 id="desk-title">
        <label for="ticket">A message to sort</label>
      </h2>
      <Samples text={text} onText={onText} />
      <textarea
        id="ticket"
        value={text}
        rows={4}
        spellcheck={false}
        placeholder="Paste a message, or pick a sample above."
        onInput={(event) => onText(event.currentTarget.value)}
      />
      <LabelsEditor labels={props.labels} onLabels={props.onLabels} usable={props.usableLabels} />
      {props.who}
      <ThresholdSlider threshold={props.threshold} onThreshold={props.onThreshold} matters={props.thresholdMatters} />
      <RunRow {...props} />
    </section>
  );
}

function Samples({ text, onText }: { readonly text: string; readonly onText: (text: string) => void }): JSX.Element {
  return (
    <ul class="samples" aria-label="Sample messages">
      {SAMPLES.map((sample) => (
        <li key={sample.title}>
          <button type="button" class="sample" aria-pressed={sample.text === text} onClick={() => onText(sample.text)}>
            {sample.title}
          </button>
        </li>
      ))}
    </ul>
  );
}

interface ThresholdProps {
  readonly threshold: number;
  readonly onThreshold: (threshold: number) => void;
  readonly matters: boolean;
}

function ThresholdSlider({ threshold, onThreshold, matters }: ThresholdProps): JSX.Element {
  return (
    <div class="threshold">
      <label for="threshold">Answer here when at least</label>
      <input
        id="threshold"
        type="range"
        min="0"
        max="1"
        step="0.01"
        value={threshold}
        aria-valuetext={`${percent(threshold)} sure`}
        aria-describedby={matters ? undefined : 'threshold-note'}
        onInput={(event) => onThreshold(event.currentTarget.valueAsNumber)}
      />
      <output for="threshold">{percent(threshold)} sure</output>
      {!matters && (
        <span id="threshold-note" class="threshold-note">
          counts only in “Ask when unsure”
        </span>
      )}
    </div>
  );
}

function RunRow({ obstacle: nobody, idle, thinking, text, usableLabels, promise, onRun, onStop }: Props): JSX.Element {
  const obstacle = text.trim() === '' ? 'Paste or pick a message first.' : usableLabels < 2 ? 'Give at least two different labels.' : nobody;
  const shortcut = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘ Enter' : 'Ctrl Enter';
  return (
    <div class="run-row">
      {thinking ? (
        <button type="button" class="button button-main" onClick={onStop}>
          <Icon name="stop" />
          Stop
        </button>
      ) : (
        <button id="run" type="button" class="button button-main" aria-disabled={obstacle !== undefined || !idle} aria-describedby="run-hint" onClick={onRun}>
          <Icon name="run" />
          Run
        </button>
      )}
      <span id="run-hint" class="run-hint">
        {obstacle ?? (thinking ? 'The model is reading.' : <span class="wide-only">or press {shortcut}</span>)}
      </span>
      <p class="mode-promise cramped-only">{promise}</p>
    </div>
  );
}
