// The whole page: top bar, what is needed to start, the two tabs (asking and teaching) and the ledger.
import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { AnswerPane, type TabId } from './answer_pane.js';
import { DeskPane } from './desk_pane.js';
import { LedgerTable } from '../../ui/ledger_table.js';
import { Ledger } from '../../ui/ledger.js';
import type { DemoConfig } from './config.js';
import { modePromise, MODES, type Mode } from '../../ui/modes.js';
import { OfflineNotice, ProblemNotice } from '../../ui/notices.js';
import { applyTheme, writePreferences, type Preferences } from './preferences.js';
import { SAMPLES } from './samples.js';
import { StartPanel } from './start_panel.js';
import { TabList } from '../../ui/tab_list.js';
import { TeachTab } from './teach/teach_tab.js';
import { TopBar } from './top_bar.js';
import { useAnswer } from './use_answer.js';
import { useDraft } from './use_draft.js';
import { useLedger, useObservedRequests } from './use_ledger.js';
import { useOnline } from '../../ui/use_media.js';
import { useModel, type Model } from './use_model.js';

interface Props {
  readonly config: DemoConfig;
  readonly preferences: Preferences;
}

const PAGES = [
  { id: 'ask', name: 'Ask' },
  { id: 'teach', name: 'Teach it' },
] as const;

type PageId = (typeof PAGES)[number]['id'];

const DEFAULT_THRESHOLD = 0.6;

export function App({ config, preferences: initial }: Props): JSX.Element {
  const [preferences, setPreferences] = useState(initial);
  const prefer = useCallback((change: Partial<Preferences>) => {
    setPreferences((before) => {
      const after = { ...before, ...change };
      writePreferences(after);
      applyTheme(after.theme);
      return after;
    });
  }, []);
  const [text, setText] = useState(SAMPLES[0]?.text ?? '');
  const [threshold, setThreshold] = useState(DEFAULT_THRESHOLD);
  const ledger = useLedger(useMemo(() => new Ledger(), []));
  const observed = useObservedRequests();
  const online = useOnline();
  const model = useModel(config, ledger, { choice: preferences.backend, onChoice: useCallback((backend) => prefer({ backend }), [prefer]) });
  const answering = useAnswer(ledger);
  const drafting = useDraft(ledger);
  const [page, setPage] = useState<PageId>('ask');
  const [shown, setShown] = useState<TabId>('answer');
  const runRef = useRef<HTMLButtonElement>(null);
  const answerRef = useRef<HTMLElement>(null);

  const mode = allowedMode(preferences.mode, config.upstream);
  const labels = useMemo(() => usableLabels(preferences.labels), [preferences.labels]);
  const ready = model.state.phase === 'ready' ? model.state : undefined;
  const desk = ready?.desk;
  const thinking = answering.state.phase === 'thinking';
  const writing = drafting.state.phase === 'reading' || drafting.state.phase === 'writing';
  const idle = !thinking && !writing;
  const hasText = text.trim() !== '';

  const run = (): void => {
    if (ready === undefined || !idle || !hasText || labels.length < 2) return;
    answering.run(ready, { text, labels, mode, threshold });
    setShown('answer');
    // On a phone the answer lies below the desk: bring it into view. Beside the desk this does nothing.
    if (matchMedia('(max-width: 959px)').matches) answerRef.current?.scrollIntoView({ block: 'start' });
  };
  const draft = (): void => {
    if (desk !== undefined && idle && hasText) drafting.run(desk, { ticket: text, mode, threshold });
  };

  const start = useStartByHand(model, runRef);

  return (
    <>
      <TopBar
        ledger={ledger}
        observed={observed}
        model={model}
        config={config}
        mode={mode}
        threshold={threshold}
        theme={preferences.theme}
        onMode={(next) => prefer({ mode: next })}
        onTheme={(next) => prefer({ theme: next })}
      />
      <main>
        {!online && <OfflineNotice ready={desk !== undefined} upstream={config.upstream} />}
        <StartPanel model={model} onStart={start} online={online} />
        {model.switching?.phase === 'failed' && <ProblemNotice problem={model.switching.problem} action={{ name: 'Close', run: model.closeProblem }} />}
        <TabList name="What to do" tabs={PAGES} shown={page} onShow={setPage} />
        <div role="tabpanel" id="panel-ask" class="panes" aria-labelledby="tab-ask" hidden={page !== 'ask'}>
          <DeskPane
            text={text}
            onText={setText}
            runRef={runRef}
            labels={preferences.labels}
            onLabels={(next) => prefer({ labels: next })}
            usableLabels={labels.length}
            threshold={threshold}
            onThreshold={setThreshold}
            thresholdMatters={mode === 'cascade'}
            promise={modePromise(mode, { threshold, upstream: config.upstream })}
            ready={desk !== undefined}
            idle={idle}
            thinking={thinking}
            onRun={run}
            onStop={answering.stop}
          />
          <AnswerPane
            paneRef={answerRef}
            text={text}
            shown={shown}
            onShow={setShown}
            answering={answering.state}
            drafting={drafting.state}
            upstreamHost={config.upstreamHost}
            canDraft={desk !== undefined && idle && hasText}
            onDraft={draft}
            onStopDraft={drafting.stop}
          />
        </div>
        <div role="tabpanel" id="panel-teach" class="teach" aria-labelledby="tab-teach" hidden={page !== 'teach'}>
          <TeachTab desk={desk} requests={ledger.entries.length} />
        </div>
        <LedgerTable ledger={ledger} />
      </main>
      <footer class="footer">
        <p>Text is never stored. This browser keeps the model files, what was learnt from your rows, and your choice of theme, labels, mode and where the model computes.</p>
      </footer>
    </>
  );
}

/** Modes that need a back office fall back to asking when unsure, which then says “would escalate”. */
function allowedMode(mode: Mode, upstream: boolean): Mode {
  const needsBackOffice = MODES.find((words) => words.mode === mode)?.needsBackOffice ?? false;
  return needsBackOffice && !upstream ? 'cascade' : mode;
}

/** Without blanks and repeats, in the visitor's order. */
function usableLabels(labels: readonly string[]): readonly string[] {
  return [...new Set(labels.map((label) => label.trim()).filter((label) => label !== ''))];
}

/** The Start button vanishes when the model is ready; whoever pressed it goes on at Run. */
function useStartByHand(model: Model, next: { readonly current: HTMLElement | null }): () => void {
  const pressed = useRef(false);
  const { phase } = model.state;
  useEffect(() => {
    if (phase !== 'ready' || !pressed.current) return;
    pressed.current = false;
    if (document.activeElement === document.body) next.current?.focus({ preventScroll: true });
  }, [phase, next]);
  return () => {
    pressed.current = true;
    model.start();
  };
}
