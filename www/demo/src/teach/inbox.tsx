// Escalations teach it: what would go to the back office, the right label by hand, and a new version.
import type { Improvement, TaskInfo } from 'frontdesk';
import type { JSX } from 'preact';
import { useId, useState } from 'preact/hooks';
import { count, percent } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { thresholdOf } from './budget.js';
import { staysHere, type Tried } from './teaching_state.js';
import type { Teaching } from './use_teaching.js';

const SHOWN = 12;
/** The choice of a label that is not there yet; no label is empty. */
const ANOTHER = '';

export function InboxPane({ teaching }: { readonly teaching: Teaching }): JSX.Element {
  const { state } = teaching;
  const { info, tried, corrected, guarantee } = state;
  const threshold = thresholdOf(guarantee);
  const escalated = tried.filter((row) => !staysHere(row, threshold));
  // What the visitor typed is shown either way.
  const listed = tried.filter((row) => row.expected === undefined || !staysHere(row, threshold));
  const labels = [...new Set([...(info?.labels ?? []), ...corrected.values()])];
  const open = escalated.filter(({ text, expected }) => expected !== undefined && !corrected.has(text));
  return (
    <section class="pane" aria-labelledby="inbox-title">
      <h2 id="inbox-title">Escalations teach it</h2>
      {info ? (
        <>
          <TryForm busy={state.busy !== undefined} onTry={teaching.tryText} />
          {tried.length > 0 && (
            <p data-testid="inbox-words">
              Of {count(tried.length)} tickets tried, {count(tried.length - escalated.length)} would stay here and <strong>{count(escalated.length)} would go to the back office</strong>: less
              than {percent(threshold)} sure{!guarantee?.certified && ' (the usual mark, for nothing is certified)'}, or unlike anything it has learnt. Nothing is sent from this tab.
            </p>
          )}
          <ul class="inbox">
            {listed.slice(0, SHOWN).map((row) => (
              <InboxRow key={row.text} row={row} stays={staysHere(row, threshold)} labels={labels} given={corrected.get(row.text)} busy={state.busy !== undefined} onCorrect={(label) => teaching.correct([{ text: row.text, label }])} />
            ))}
          </ul>
          {listed.length > SHOWN && <p class="soft">And {count(listed.length - SHOWN)} more.</p>}
          {open.length > 1 && (
            <button type="button" class="button take-all" disabled={state.busy !== undefined} onClick={() => teaching.correct(open.map(({ text, expected }) => ({ text, label: expected ?? '' })))}>
              Take the labels of your rows for all {count(open.length)}
            </button>
          )}
          <ImproveRow teaching={teaching} info={info} />
        </>
      ) : (
        <p class="soft">After learning, an eighth of your rows is played as new tickets. For those that would go to the back office you say what is right, and it learns from that.</p>
      )}
    </section>
  );
}

function TryForm({ busy, onTry }: { readonly busy: boolean; readonly onTry: (text: string) => void }): JSX.Element {
  const [text, setText] = useState('');
  const id = useId();
  return (
    <form
      class="try-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() !== '' && !busy) onTry(text.trim());
      }}
    >
      <label for={id}>A ticket of your own</label>
      <input id={id} type="text" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit" class="button" aria-disabled={busy || text.trim() === ''}>
        Try
      </button>
    </form>
  );
}

interface RowProps {
  readonly row: Tried;
  readonly stays: boolean;
  readonly labels: readonly string[];
  readonly given: string | undefined;
  readonly busy: boolean;
  readonly onCorrect: (label: string) => void;
}

function InboxRow({ row, stays, labels, given, busy, onCorrect }: RowProps): JSX.Element {
  const { text, value, confidence, isStrange, expected } = row;
  const [chosen, setChosen] = useState(expected ?? value);
  const [named, setNamed] = useState('');
  const label = chosen === ANOTHER ? named.trim() : chosen;
  const id = useId();
  return (
    <li class="inbox-row">
      <p>{text}</p>
      <p class="soft" data-stays={stays}>
        <Icon name={stays ? 'here' : 'office'} /> {stays ? 'Stays here: it says' : 'Back office: it would say'} {value}, {percent(confidence)} sure{isStrange && ', but the text is unlike the others'}.{expected !== undefined && ` Your rows say ${expected}.`}
      </p>
      {given === undefined ? (
        <div class="inbox-answer">
          <label for={id}>Right label</label>
          <select id={id} value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
            {labels.map((name) => (
              <option key={name}>{name}</option>
            ))}
            <option value={ANOTHER}>another…</option>
          </select>
          {chosen === ANOTHER && <input type="text" aria-label="New label" value={named} onInput={(event) => setNamed(event.currentTarget.value)} />}
          <button type="button" class="button" aria-label={`Note it: ${label}, for “${text}”`} disabled={busy || label === ''} onClick={() => onCorrect(label)}>
            Note it
          </button>
        </div>
      ) : (
        <p class="inbox-noted">
          <Icon name="check" /> Noted: {given}
        </p>
      )}
    </li>
  );
}

function ImproveRow({ teaching: { state, improve, goBack }, info }: { readonly teaching: Teaching; readonly info: TaskInfo }): JSX.Element {
  const { busy, improvement } = state;
  const waiting = info.memory.learn;
  return (
    <>
      {improvement && (
        <p class="improvement" data-outcome={improvement.outcome} data-testid="improvement">
          {improvementWords(improvement)}
        </p>
      )}
      <div class="button-row">
        <button type="button" class="button button-main" aria-disabled={busy !== undefined || waiting === 0} aria-describedby="improve-hint" onClick={() => waiting > 0 && improve()}>
          Improve
        </button>
        <button type="button" class="button" disabled={busy !== undefined || info.earlier === 0} onClick={goBack}>
          Go back
        </button>
        <span id="improve-hint" class="run-hint">
          {state.notice?.at === 'improve' && `${state.notice.words} `}
          {waiting === 0 ? 'Note at least one right label first.' : `${waiting === 1 ? 'One text waits' : `${count(waiting)} texts wait`} to be learnt from.`}
        </span>
      </div>
    </>
  );
}

/** What became of it, with the rows gained and lost. */
function improvementWords({ outcome, learnt, fresh, certifying }: Improvement): string {
  const on = (rows: number, what: string, gained: number, lost: number): string => `On ${count(rows)} ${what} it gained ${count(gained)} right answers and lost ${count(lost)}`;
  const compared = fresh.rows > 0 ? `${on(fresh.rows, 'rows that neither has learnt from', fresh.gained, fresh.lost)}.` : 'There were no fresh rows to compare on.';
  switch (outcome) {
    case 'promoted':
      return `Promoted: the new version, with ${count(learnt)} more texts, answers from now on. ${compared}`;
    case 'not_shown_better':
      return `Not shown to be better, so the old version stays. ${compared} That could be chance; more rows to compare on would tell.`;
    case 'worse':
      return `Worse, so the old version stays. ${on(certifying.rows, 'certifying rows', certifying.gained, certifying.lost)}.`;
  }
}
