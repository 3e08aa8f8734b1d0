// The whole page: top bar, what is needed to start, the three tabs (deciding, teaching, chatting) and the ledger.
import type { JSX } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { LedgerTable } from '../../ui/ledger_table.js';
import { Ledger } from '../../ui/ledger.js';
import type { DemoConfig } from './config.js';
import { DecideTab } from './decide_tab.js';
import { Lazy } from './lazy.js';
import { MODES, type Mode } from '../../ui/modes.js';
import { OfflineNotice, ProblemNotice } from '../../ui/notices.js';
import { SettingsNotice, UpdateNotice } from './page_notices.js';
import { applyTheme, writePreferences, type Preferences } from './preferences.js';
import { SAMPLES } from './samples.js';
import { StartPanel } from './start_panel.js';
import { TabList } from '../../ui/tab_list.js';
import { TopBar } from './top_bar.js';
import { useLedger, useObservedRequests } from './use_ledger.js';
import { useOnline } from '../../ui/use_media.js';
import { useModel, type Model } from './use_model.js';
import { useReflex, type ReflexState } from './use_reflex.js';
import { useServiceWorker } from './use_service_worker.js';
import { ModelButton } from './who_answers.js';

interface Props {
  readonly config: DemoConfig;
  readonly preferences: Preferences;
}

const PAGES = [
  { id: 'decide', name: 'Decide' },
  { id: 'teach', name: 'Teach' },
  { id: 'chat', name: 'Chat' },
] as const;

type PageId = (typeof PAGES)[number]['id'];

const DEFAULT_THRESHOLD = 0.6;
const loadTeach = () => import('./teach/teach_tab.js').then(({ TeachTab }) => TeachTab);
const loadChat = () => import('./chat/chat_tab.js').then(({ ChatTab }) => ChatTab);

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
  const observed = useObservedRequests(config);
  const online = useOnline();
  const reflex = useReflex(config, ledger);
  const isReflexSettled = isSettled(reflex.state);
  const model = useModel(config, ledger, { mayStart: isReflexSettled, choice: preferences.backend, onChoice: useCallback((backend) => prefer({ backend }), [prefer]) });
  const offline = useServiceWorker(isReflexSettled && model.state.phase !== 'loading');
  const [page, setPage] = useState<PageId>('decide');
  const [lessons, setLessons] = useState(0);
  const [isDeciding, setDeciding] = useState(false);
  const [isChatting, setChatting] = useState(false);
  const noteLesson = useCallback(() => setLessons((turn) => turn + 1), []);

  const mode = allowedMode(preferences.mode, config.upstream);
  const ready = model.state.phase === 'ready' ? model.state : undefined;
  const start = useStartByHand(model);
  // Where only the back office answers, any desk passes the question on.
  const chatDesk = ready?.desk ?? (mode === 'only_in_cloud' ? reflex.desk : undefined);

  const startPanel = <StartPanel model={model} bytes={config.model.bytes} onStart={start} online={online} />;
  const isTrouble = model.state.phase === 'failed' || model.state.phase === 'unsupported';

  return (
    <>
      <TopBar
        ledger={ledger}
        observed={observed}
        model={model}
        reflex={reflex}
        offline={offline}
        config={config}
        mode={mode}
        threshold={threshold}
        theme={preferences.theme}
        onMode={(next) => prefer({ mode: next })}
        onTheme={(next) => prefer({ theme: next })}
      />
      <main>
        {offline.hasUpdate && <UpdateNotice onUpdate={offline.update} />}
        {config.isUnreadable && <SettingsNotice />}
        {!online && <OfflineNotice ready={ready !== undefined || reflex.desk !== undefined} upstream={config.upstream} />}
        {isTrouble && startPanel}
        {model.switching?.phase === 'failed' && <ProblemNotice problem={model.switching.problem} action={{ name: 'Close', run: model.closeProblem }} />}
        <TabList name="What to do" tabs={PAGES} shown={page} onShow={setPage} />
        <div role="tabpanel" id="panel-decide" class="panes" aria-labelledby="tab-decide" hidden={page !== 'decide'}>
          <DecideTab
            config={config}
            ledger={ledger}
            model={model}
            reflex={reflex}
            online={online}
            text={text}
            onText={setText}
            labels={preferences.labels}
            onLabels={(labels) => prefer({ labels })}
            threshold={threshold}
            onThreshold={setThreshold}
            mode={mode}
            lessons={lessons}
            isFree={!isChatting}
            onBusy={setDeciding}
            onStart={start}
          />
        </div>
        <div role="tabpanel" id="panel-teach" class="teach" aria-labelledby="tab-teach" hidden={page !== 'teach'}>
          <Lazy load={loadTeach} shown={page === 'teach'} props={{ desk: reflex.desk, isMissing: reflex.state.phase === 'missing', onLearnt: noteLesson, requests: ledger.entries.length }} />
        </div>
        <div role="tabpanel" id="panel-chat" aria-labelledby="tab-chat" hidden={page !== 'chat'}>
          <Lazy
            load={loadChat}
            shown={page === 'chat'}
            props={{
              ledger,
              desk: chatDesk,
              obstacle:
                chatDesk === undefined ? (
                  <div class="who">
                    <p>Chat takes the language model: the small one can sort, and cannot write.</p>
                    <ModelButton model={model} bytes={config.model.bytes} online={online} onStart={start} />
                  </div>
                ) : undefined,
              mode,
              threshold,
              upstream: config.upstream,
              message: text,
              isFree: !isDeciding,
              onBusy: setChatting,
            }}
          />
        </div>
        {/* Below, so that nothing above moves when it goes; the chat has its own. */}
        {!isTrouble && page !== 'chat' && startPanel}
        <LedgerTable ledger={ledger} />
      </main>
      <footer class="footer">
        <p>Text is never stored. This browser keeps the page, the model files, what was learnt from rows, and your choice of theme, labels, mode and where the model computes.</p>
      </footer>
    </>
  );
}

/** Nothing big is under way. */
function isSettled({ phase }: ReflexState): boolean {
  return phase === 'ready' || phase === 'failed' || phase === 'waiting' || phase === 'missing' || phase === 'unsupported';
}

/** Modes that need a back office fall back to asking when unsure, which then says “would escalate”. */
function allowedMode(mode: Mode, upstream: boolean): Mode {
  const needsBackOffice = MODES.find((words) => words.mode === mode)?.needsBackOffice ?? false;
  return needsBackOffice && !upstream ? 'cascade' : mode;
}

/** A Start button vanishes when the model is ready; whoever pressed it goes on at what the tab is for. */
function useStartByHand(model: Model): () => void {
  const pressed = useRef(false);
  const { phase } = model.state;
  useEffect(() => {
    if (phase !== 'ready' || !pressed.current) return;
    pressed.current = false;
    if (document.activeElement !== document.body) return;
    const next = document.querySelector<HTMLElement>('[role=tabpanel]:not([hidden]) :is(#run, #chat-box, #rows)');
    next?.focus({ preventScroll: true });
  }, [phase]);
  return () => {
    pressed.current = true;
    model.start();
  };
}
