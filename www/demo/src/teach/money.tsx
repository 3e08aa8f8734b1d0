// What staying here is worth a month: an estimate from the rows, and what the desk has measured.
import type { Frontdesk, LedgerSummary } from 'frontdesk';
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { count, percent } from '../../../ui/format.js';
import { shareHere } from './budget.js';
import type { TeachingState } from './teaching_state.js';

interface Props {
  readonly state: TeachingState;
  readonly desk: Frontdesk | undefined;
  /** Changes whenever something left, so that the measured part is read again. */
  readonly requests: number;
}

interface Wishes {
  readonly input: number;
  readonly output: number;
  readonly tickets: number;
}

const DEFAULTS: Wishes = { input: 2.5, output: 10, tickets: 20_000 };
const CHARACTERS_PER_TOKEN = 4;
const MONEY = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export function MoneyPane({ state, desk, requests }: Props): JSX.Element {
  const [wishes, setWishes] = useState(DEFAULTS);
  const measured = useMeasured(desk, wishes, requests + state.tried.length);
  const { guarantee } = state;
  const share = guarantee ? shareHere(guarantee) : 0;
  const tokens = tokensOf(state);
  const all = tokens && (wishes.tickets * (tokens.input * wishes.input + tokens.output * wishes.output)) / 1e6;
  return (
    <section class="pane" aria-labelledby="money-title">
      <h2 id="money-title">What it saves</h2>
      <div class="money-inputs">
        <Amount name="Price per million tokens in" value={wishes.input} step={0.1} onValue={(input) => setWishes({ ...wishes, input })} />
        <Amount name="Price per million tokens out" value={wishes.output} step={0.1} onValue={(output) => setWishes({ ...wishes, output })} />
        <Amount name="Tickets a month" value={wishes.tickets} step={1000} onValue={(tickets) => setWishes({ ...wishes, tickets })} />
      </div>
      {all !== undefined && tokens ? (
        <>
          <p data-testid="money">
            <strong class="money-sum">{MONEY.format(all * (1 - share))}</strong> a month instead of <strong>{MONEY.format(all)}</strong>: {percent(share)} of{' '}
            {count(wishes.tickets)} tickets would stay here, {count(Math.round(wishes.tickets * (1 - share)))} would go to the back office.
          </p>
          <p class="soft">
            An estimate, in the currency of your prices: {count(tokens.input)} tokens in and {count(tokens.output)} out a ticket, reckoned as one for every {CHARACTERS_PER_TOKEN} characters of
            your texts and labels. Instructions and retries come on top.
          </p>
        </>
      ) : (
        <p class="soft">It is reckoned from the length of your rows, once they are learnt.</p>
      )}
      {measured?.saving && <Measured summary={measured} />}
    </section>
  );
}

function Measured({ summary: { saving, calls, measured, sent } }: { readonly summary: LedgerSummary }): JSX.Element | null {
  if (!saving) return null;
  const { interval, share } = saving;
  return (
    <p data-testid="measured">
      Measured since the model was loaded: {count(calls)} calls, {count(sent)} sent, {count(measured)} with tokens reported. Saved {percent(share)}
      {interval ? `, between ${percent(interval.low)} and ${percent(interval.high)} with ${percent(interval.confidence)} confidence.` : '; too few calls to say how exact that is.'}
    </p>
  );
}

interface AmountProps {
  readonly name: string;
  readonly value: number;
  readonly step: number;
  readonly onValue: (value: number) => void;
}

function Amount({ name, value, step, onValue }: AmountProps): JSX.Element {
  return (
    <label class="amount">
      <span>{name}</span>
      <input
        type="number"
        min="0"
        step={step}
        value={value}
        inputMode="decimal"
        onInput={({ currentTarget: { valueAsNumber: next } }) => {
          if (Number.isFinite(next) && next >= 0) onValue(next);
        }}
      />
    </label>
  );
}

function tokensOf({ parts, info }: TeachingState): { readonly input: number; readonly output: number } | undefined {
  if (parts === undefined || !info) return undefined;
  const rows = [...parts.learn, ...parts.calibrate, ...parts.inbox, ...parts.held];
  const labels = info.labels.join(', ').length;
  const text = rows.reduce((sum, row) => sum + row.text.length, 0) / rows.length;
  const label = rows.reduce((sum, row) => sum + row.label.length, 0) / rows.length;
  return { input: Math.ceil((text + labels) / CHARACTERS_PER_TOKEN), output: Math.ceil(label / CHARACTERS_PER_TOKEN) };
}

/** `turn` changes when there may be more to tell. */
function useMeasured(desk: Frontdesk | undefined, { input, output }: Wishes, turn: number): LedgerSummary | undefined {
  const [summary, setSummary] = useState<LedgerSummary>();
  useEffect(() => {
    let current = true;
    desk?.ledger({ inputPerMillion: input, outputPerMillion: output }).then(
      (found) => current && setSummary(found),
      // Without figures the estimate stands alone.
      () => current && setSummary(undefined),
    );
    return () => {
      current = false;
    };
  }, [desk, input, output, turn]);
  return summary;
}
