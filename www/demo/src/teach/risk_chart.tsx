// The coverage-risk curve, with the error budget as a line that is dragged by pointer or arrow keys.
import type { Evaluation, TaskGuarantee } from 'frontdesk';
import type { JSX, TargetedKeyboardEvent, TargetedPointerEvent } from 'preact';
import { useRef } from 'preact/hooks';
import { percent } from '../../../ui/format.js';
import { pointAt } from './budget.js';

interface Props {
  /** Left out where there are no test rows on this visit; the budget can be changed all the same. */
  readonly curve: Evaluation['curve'] | undefined;
  readonly rows: number;
  readonly guarantee: TaskGuarantee | undefined;
  readonly budget: number;
  readonly onBudget: (budget: number) => void;
}

const MIN_BUDGET = 0.01;
const MAX_BUDGET = 0.3;
const STEP = 0.01;
const BIG_STEP = 0.05;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
/** Units of the drawing; it stretches to its box. */
const WIDTH = 1000;
const HEIGHT = 400;

export function RiskChart({ curve = [], rows, guarantee, budget, onBudget }: Props): JSX.Element {
  const top = Math.max(MAX_BUDGET, Math.ceil(Math.max(0, ...curve.map(({ addedRisk }) => addedRisk)) * 10) / 10);
  const here = guarantee?.certified ? pointAt(curve, guarantee.certified.threshold) : undefined;
  return (
    <figure class="chart">
      <figcaption>How many answers are wrong, the more of them are given here</figcaption>
      <div class="chart-y figures" aria-hidden="true">
        {[top, top / 2, 0].map((value) => (
          <span key={value}>{percent(value)}</span>
        ))}
      </div>
      <div class="chart-plot">
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={description(curve, rows)}>
          <rect class="chart-within" x="0" y={HEIGHT * (1 - budget / top)} width={WIDTH} height={(HEIGHT * budget) / top} />
          {TICKS.map((tick) => (
            <path key={tick} class="chart-grid" d={`M${tick * WIDTH} 0V${HEIGHT}`} />
          ))}
          <path class="chart-curve" d={pathOf(curve, top)} />
        </svg>
        {here && <span class="chart-point" style={{ left: `${here.coverage * 100}%`, top: `${(1 - here.addedRisk / top) * 100}%` }} />}
        <BudgetLine budget={budget} top={top} onBudget={onBudget} />
      </div>
      <div class="chart-x figures" aria-hidden="true">
        {TICKS.map((tick) => (
          <span key={tick}>{percent(tick)}</span>
        ))}
      </div>
      <p class="chart-key">
        <span>Across: share of the {rows} test rows that is answered here. Up: share of all rows that is answered here and wrong.</span>
        {here && <span class="chart-key-point">where the certified threshold lies</span>}
      </p>
    </figure>
  );
}

interface BudgetLineProps {
  readonly budget: number;
  readonly top: number;
  readonly onBudget: (budget: number) => void;
}

function BudgetLine({ budget, top, onBudget }: BudgetLineProps): JSX.Element {
  const line = useRef<HTMLDivElement>(null);
  const choose = (value: number): void => {
    const next = Math.min(MAX_BUDGET, Math.max(MIN_BUDGET, Math.round(value / STEP) * STEP));
    if (Math.abs(next - budget) > STEP / 2) onBudget(next);
  };
  const byKey = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const values: Readonly<Record<string, number>> = {
      ArrowUp: budget + STEP,
      ArrowRight: budget + STEP,
      ArrowDown: budget - STEP,
      ArrowLeft: budget - STEP,
      PageUp: budget + BIG_STEP,
      PageDown: budget - BIG_STEP,
      Home: MIN_BUDGET,
      End: MAX_BUDGET,
    };
    const value = values[event.key];
    if (value === undefined) return;
    event.preventDefault();
    choose(value);
  };
  const byPointer = (event: TargetedPointerEvent<HTMLDivElement>): void => {
    const box = line.current?.parentElement?.getBoundingClientRect();
    if (box === undefined || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
    choose((1 - (event.clientY - box.top) / box.height) * top);
  };
  return (
    <div
      ref={line}
      class="budget-line"
      role="slider"
      tabIndex={0}
      aria-label="Error budget"
      aria-orientation="vertical"
      aria-valuemin={MIN_BUDGET * 100}
      aria-valuemax={MAX_BUDGET * 100}
      aria-valuenow={Math.round(budget * 100)}
      aria-valuetext={`at most ${percent(budget)} wrong`}
      style={{ top: `${(1 - budget / top) * 100}%` }}
      onKeyDown={byKey}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={byPointer}
    >
      <span class="budget-handle figures">{percent(budget)} allowed</span>
    </div>
  );
}

export function CurveTable({ curve }: { readonly curve: Evaluation['curve'] }): JSX.Element {
  // A dozen of up to a hundred points tell the same.
  const stride = Math.max(1, Math.ceil(curve.length / 12));
  const shown = curve.filter((_, index) => index % stride === 0 || index === curve.length - 1);
  return (
    <table>
      <thead>
        <tr>
          {['Sure at least', 'Answered here', 'Wrong of those', 'Wrong of all'].map((name) => (
            <th key={name} scope="col" class="number">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {shown.map(({ threshold, coverage, selectiveRisk, addedRisk }) => (
          <tr key={coverage}>
            {[threshold, coverage, selectiveRisk, addedRisk].map((value, index) => (
              <td key={index} class="number">
                {percent(value)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function pathOf(curve: Evaluation['curve'], top: number): string {
  const points = curve.map(({ coverage, addedRisk }) => `L${(coverage * WIDTH).toFixed(1)} ${(HEIGHT * (1 - addedRisk / top)).toFixed(1)}`);
  return `M0 ${HEIGHT}${points.join('')}`;
}

function description(curve: Evaluation['curve'], rows: number): string {
  const last = curve.at(-1);
  if (last === undefined) return 'No curve: there are no test rows.';
  const faultless = curve.filter(({ addedRisk }) => addedRisk === 0).at(-1)?.coverage ?? 0;
  return `Of ${rows} test rows, ${percent(faultless)} can be answered here without a mistake; answering all of them here makes ${percent(last.addedRisk)} wrong.`;
}
