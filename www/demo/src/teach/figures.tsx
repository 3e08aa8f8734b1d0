// How good the task is, in words first and figures second, and what its error budget allows.
import type { JSX } from 'preact';
import type { Evaluation } from 'frontdesk';
import { Fact } from '../../../ui/fact.js';
import { count, percent } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { guaranteeWords } from './budget.js';
import { CurveTable, RiskChart } from './risk_chart.js';
import type { TeachingState } from './teaching_state.js';

interface Props {
  readonly state: TeachingState;
  readonly onBudget: (budget: number) => void;
}

export function FiguresPane({ state, onBudget }: Props): JSX.Element {
  const { info, evaluation, guarantee, budget } = state;
  return (
    <section class="pane" aria-labelledby="figures-title">
      <h2 id="figures-title">How good it is</h2>
      {info ? <Learnt state={state} /> : <p class="soft">Once it has learnt, this shows how many of the rows it never saw it gets right, and how many it can answer here within your error budget.</p>}
      {evaluation && <Quality evaluation={evaluation} />}
      {info && (info.memory.certify > 0 || state.parts) && (
        <>
          <RiskChart curve={evaluation?.curve} rows={evaluation?.rows ?? 0} guarantee={guarantee} budget={budget} onBudget={onBudget} />
          <p class="guarantee" data-certified={guarantee?.certified !== null && guarantee !== undefined} data-testid="guarantee">
            <Icon name={guarantee?.certified ? 'here' : 'office'} />
            <span>{guarantee ? guaranteeWords(guarantee) : 'Not certified yet. Move the line to certify it at that budget.'}</span>
          </p>
          {evaluation && (
            <details class="details">
              <summary>
                <Icon name="chevron" />
                Show as table
              </summary>
              <CurveTable curve={evaluation.curve} />
            </details>
          )}
        </>
      )}
    </section>
  );
}

function Learnt({ state: { info, parts } }: { readonly state: TeachingState }): JSX.Element | null {
  if (!info) return null;
  const { examples } = info.report;
  return (
    <>
      <p>
        Learnt from {count(examples)} rows: <strong>{listOf(info.labels)}</strong>.{' '}
        {!parts && 'The rows are not kept, so the curve comes back when you learn from them again.'}
      </p>
      {!info.kept && (
        <p class="warning">
          <Icon name="alert" /> This browser cannot keep it: it is gone when the page closes. “Export” saves it to a file.
        </p>
      )}
    </>
  );
}

const SHOWN_LABELS = 8;

function listOf(labels: readonly string[]): string {
  const rest = labels.length - SHOWN_LABELS;
  return labels.slice(0, SHOWN_LABELS).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function Quality({ evaluation }: { readonly evaluation: Evaluation }): JSX.Element {
  const { accuracy, macroF1, ece, rows } = evaluation;
  return (
    <dl class="quality" data-testid="quality">
      <Fact name="Right">
        <strong>{percent(accuracy)}</strong> of {count(rows)} rows that it never saw (accuracy)
      </Fact>
      <Fact name="Also on rare labels">
        <strong>{percent(macroF1)}</strong> when every label counts the same (macro-F1); {macroF1 < accuracy - 0.05 ? 'rare labels do worse' : 'no label is left behind'}
      </Fact>
      <Fact name="Knows how sure">
        <strong>{percent(ece)}</strong> off on average between “sure” and right (ECE); {ece < 0.05 ? 'very close' : ece < 0.12 ? 'good enough to go by' : 'take it with care, or give it more rows'}
      </Fact>
    </dl>
  );
}
