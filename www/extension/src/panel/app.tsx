// The side panel: what left, a text, what to do with it, and what came of it.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { count } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { bytesOf, ledgerJson } from '../../../ui/ledger.js';
import { LedgerTable } from '../../../ui/ledger_table.js';
import { OfflineNotice, ProblemNotice } from '../../../ui/notices.js';
import { useOnline } from '../../../ui/use_media.js';
import { EngineError } from '../shared/engine_link.js';
import { type Job, JOBS, MOST_CHARACTERS, takeSelections } from '../shared/jobs.js';
import { panelProblem, tooLongProblem } from '../shared/problems.js';
import type { EngineConnection } from './engine_connection.js';
import { Passing } from './passing.js';
import { Result } from './result.js';
import { TopBar } from './top_bar.js';
import { useEngine } from './use_engine.js';
import { useRun } from './use_run.js';
import { useText } from './use_text.js';

export function App({ connection, windowId }: { readonly connection: EngineConnection; readonly windowId: number }): JSX.Element {
  const view = useEngine(connection);
  const { settings, engine, receipts, wasRestarted } = view;
  const { state, run, stop, refuse } = useRun(connection);
  const { text, hasKept, write, replace, back } = useText();
  const box = useRef<HTMLTextAreaElement>(null);
  const jobs = useRef<HTMLDivElement>(null);
  const online = useOnline();

  useEffect(
    () =>
      takeSelections(windowId, (selection) => {
        if ('tooLong' in selection) return refuse(selection.job, tooLongProblem(selection.tooLong));
        replace(selection.text);
        run(selection.job, selection.text);
      }),
    [windowId, run, refuse, replace],
  );

  const isTooLong = text.length > MOST_CHARACTERS;
  const canRun = text.trim() !== '' && !isTooLong;
  const start = (job: Job): void => {
    if (canRun) run(job, text);
    else focusBox();
  };
  const focusBox = (): void => box.current?.focus();
  const focusJob = (): void => jobs.current?.querySelector<HTMLElement>(`[data-job=${state.job}]`)?.focus();
  const mayAsk = settings !== undefined && settings.mode !== 'only_on_device' && settings.office !== null;
  const ledger = { entries: receipts, totalBytes: bytesOf(receipts), toJson: () => ledgerJson(receipts) };

  return (
    <>
      <TopBar view={view} />
      <main>
        {engine.phase === 'failed' && (
          <Passing onFocusLost={focusBox}>
            <ProblemNotice problem={panelProblem(new EngineError(engine.error.code, engine.error.message))} action={{ name: 'Start again', run: () => connection.restart() }} />
          </Passing>
        )}
        {wasRestarted && (
          <section class="notice" role="status">
            <Icon name="alert" />
            <div>
              <h2>The engine stopped and was started again.</h2>
              <p>Your text and the list of what left are kept. What was running has to be run again.</p>
            </div>
          </section>
        )}
        {!online && mayAsk && <OfflineNotice ready={engine.phase === 'ready'} upstream={true} />}
        <div class="pane">
          <label class="text-label" for="text">
            Text
          </label>
          <textarea ref={box} id="text" rows={5} value={text} placeholder="Selected text comes here. You may also write or paste." aria-describedby="text-note" aria-invalid={isTooLong} onInput={(event) => write(event.currentTarget.value)} />
          <p id="text-note" class={isTooLong ? 'hint hint-error' : 'hint'} role={isTooLong ? 'alert' : undefined}>
            {isTooLong ? `Too long: ${count(text.length)} characters. At most ${count(MOST_CHARACTERS)} can be read; shorten the text.` : `${count(text.length)} of ${count(MOST_CHARACTERS)} characters`}
          </p>
          {hasKept && (
            <Passing onFocusLost={focusBox}>
              <button type="button" class="button button-quiet" onClick={back}>
                Back to your text
              </button>
            </Passing>
          )}
          <div class="jobs" ref={jobs}>
            {JOBS.map(({ job, name }) => (
              <button key={job} type="button" class="button" data-job={job} aria-disabled={!canRun} onClick={() => start(job)}>
                {name}
              </button>
            ))}
            {state.phase === 'running' && (
              <Passing onFocusLost={focusJob}>
                <button type="button" class="button button-main" onClick={stop}>
                  <Icon name="stop" />
                  Stop
                </button>
              </Passing>
            )}
          </div>
        </div>
        <Result state={state} text={text} officeHost={mayAsk ? new URL(settings.office?.url ?? location.href).host : undefined} engine={engine.phase} />
        <LedgerTable ledger={ledger} />
      </main>
    </>
  );
}
