// Always visible: how many bytes left, what is ready, and who may answer.
import type { JSX } from 'preact';
import { count, duration, exactBytes, percent, roundBytes } from '../../../ui/format.js';
import { Fact } from '../../../ui/fact.js';
import { Icon } from '../../../ui/icons.js';
import { bytesOf } from '../../../ui/ledger.js';
import { modeName, modePromise } from '../../../ui/modes.js';
import type { EngineState } from '../shared/protocol.js';
import type { Settings } from '../shared/settings.js';
import type { EngineView } from './engine_connection.js';

export function TopBar({ view }: { readonly view: EngineView }): JSX.Element {
  const { settings, engine, receipts } = view;
  const bytes = bytesOf(receipts);
  return (
    <header class="top">
      <h1 class="visually-hidden">Frontdesk</h1>
      <a class="counter" href="#ledger" data-left={bytes > 0} data-testid="byte-counter">
        <Icon name={bytes > 0 ? 'office' : 'here'} />
        <span>
          <strong>{exactBytes(bytes)}</strong> left this device
          <span class="counter-requests">
            {count(receipts.length)} {receipts.length === 1 ? 'request' : 'requests'} with your text
          </span>
        </span>
      </a>
      <div class="top-row">
        <Readiness engine={engine} />
        <button type="button" class="button button-quiet" onClick={() => void chrome.runtime.openOptionsPage()}>
          Options
        </button>
      </div>
      {settings !== undefined && <Mode settings={settings} />}
    </header>
  );
}

function Mode({ settings }: { readonly settings: Settings }): JSX.Element {
  const { mode, threshold, office } = settings;
  return (
    <p class="mode" data-testid="mode">
      <strong>{modeName(mode)}.</strong> {modePromise(mode, { threshold, upstream: office !== null || mode === 'only_on_device' })}
    </p>
  );
}

function Readiness({ engine }: { readonly engine: EngineState }): JSX.Element {
  return (
    <details class="readiness" data-phase={engine.phase} data-testid="readiness">
      <summary>
        <span class="readiness-dot" aria-hidden="true" />
        {words(engine)}
      </summary>
      <dl class="facts">
        {engine.phase === 'ready' && engine.model !== null ? (
          <>
            <Fact name="Model">{engine.model}</Fact>
            <Fact name="Runs on">{engine.place}</Fact>
            <Fact name="Memory">{roundBytes(engine.memoryBytes)}</Fact>
            <Fact name="Started in">{duration(engine.startMs)}</Fact>
          </>
        ) : (
          <Fact name="Model">{engine.phase === 'ready' ? 'none: the mode asks the back office alone' : engine.phase === 'starting' ? 'is being read from the extension’s own files' : engine.error.message}</Fact>
        )}
      </dl>
    </details>
  );
}

function words(engine: EngineState): string {
  switch (engine.phase) {
    case 'starting':
      return engine.share === 0 ? 'Starting' : `Starting, ${percent(engine.share)}`;
    case 'ready':
      return engine.model === null ? 'No model needed' : 'Model ready';
    case 'failed':
      return 'Model not ready';
  }
}
