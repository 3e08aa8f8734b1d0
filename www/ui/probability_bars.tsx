// Sorted probability bars with the acceptance threshold as a line through them.
import type { LabelProbability } from 'frontdesk';
import type { JSX } from 'preact';
import { percent } from './format.js';

interface Props {
  readonly probabilities: readonly LabelProbability[];
  readonly chosen: string;
  /** `undefined` where no threshold was asked for. */
  readonly threshold: number | undefined;
  readonly title: string;
}

export function ProbabilityBars({ probabilities, chosen, threshold, title }: Props): JSX.Element {
  const sorted = [...probabilities].sort((a, b) => b.probability - a.probability);
  return (
    <figure class="bars">
      <figcaption class="bars-caption">
        <span>{title}</span>
        {threshold !== undefined && <span class="bars-key">{percent(threshold)} needed</span>}
      </figcaption>
      <ul>
        {sorted.map(({ label, probability }) => (
          <li key={label} class="bar" data-chosen={label === chosen}>
            <span class="bar-label">{label}</span>
            <span class="bar-track">
              <span class="bar-fill" style={{ width: `${probability * 100}%` }} />
              {threshold !== undefined && <span class="bar-threshold" style={{ left: `${threshold * 100}%` }} />}
            </span>
            <span class="bar-figure">{percent(probability)}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}
