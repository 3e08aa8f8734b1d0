// The tab “Teach”: rows, how good the task is, what it saves, and what escalations teach it.
import type { Frontdesk } from 'frontdesk';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { ProblemNotice } from '../../../ui/notices.js';
import { FileButton } from './file_button.js';
import { FiguresPane } from './figures.js';
import { InboxPane } from './inbox.js';
import { MoneyPane } from './money.js';
import { RowsPane } from './rows_pane.js';
import { useTeaching, type Teaching } from './use_teaching.js';

interface Props {
  /** With the small model. */
  readonly desk: Frontdesk | undefined;
  /** The host does not have it. */
  readonly isMissing: boolean;
  /** What was learnt may have changed. */
  readonly onLearnt: () => void;
  /** Requests that left so far. */
  readonly requests: number;
}

export function TeachTab({ desk, isMissing, onLearnt, requests }: Props): JSX.Element {
  const teaching = useTeaching(desk);
  const { state } = teaching;
  useEffect(onLearnt, [state.info, onLearnt]);
  return (
    <>
      <p class="visually-hidden" role="status" data-testid="teach-said">
        {state.said}
      </p>
      {state.problem && <ProblemNotice problem={state.problem} />}
      <div class="panes">
        <div class="pane-stack">
          <RowsPane teaching={teaching} ready={desk !== undefined} missing={isMissing} />
          <KeepPane teaching={teaching} ready={desk !== undefined} />
        </div>
        <FiguresPane state={state} onBudget={teaching.setBudget} />
        <InboxPane teaching={teaching} />
        <MoneyPane state={state} desk={desk} requests={requests} />
      </div>
    </>
  );
}

function KeepPane({ teaching, ready }: { readonly teaching: Teaching; readonly ready: boolean }): JSX.Element {
  const { state, save, load, forget } = teaching;
  const idle = ready && state.busy === undefined;
  const hasLearnt = Boolean(state.info);
  return (
    <section class="pane" aria-labelledby="keep-title">
      <h2 id="keep-title">What was learnt stays on this device</h2>
      <div class="button-row">
        <button type="button" class="button" disabled={!idle || !hasLearnt} onClick={save}>
          Export
        </button>
        <FileButton words="Import" accept=".fdtask" label="Task file" disabled={!idle} onFile={load} />
        <button type="button" class="button" disabled={!idle || !hasLearnt} onClick={() => confirm('Forget what was learnt, earlier versions included?') && forget()}>
          Forget
        </button>
      </div>
      <p class="soft keep-words">{state.notice?.at === 'keep' ? state.notice.words : 'A file holds numbers and label names, no text.'}</p>
    </section>
  );
}
