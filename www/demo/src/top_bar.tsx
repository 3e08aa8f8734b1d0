// Always visible: how many bytes left, what is ready, and who may answer.
import type { JSX } from 'preact';
import { BackendSaid } from './backend_switch.js';
import type { DemoConfig } from './config.js';
import { count, exactBytes } from '../../ui/format.js';
import { Icon } from '../../ui/icons.js';
import type { Ledger } from '../../ui/ledger.js';
import { ModeSwitch } from '../../ui/mode_switch.js';
import { modePromise, type Mode } from '../../ui/modes.js';
import type { Theme } from './preferences.js';
import { Readiness } from './readiness.js';
import type { Model } from './use_model.js';
import type { Reflex } from './use_reflex.js';
import type { Offline } from './use_service_worker.js';

interface Props {
  readonly ledger: Ledger;
  readonly observed: number;
  readonly model: Model;
  readonly reflex: Reflex;
  readonly offline: Offline;
  readonly config: DemoConfig;
  readonly mode: Mode;
  readonly threshold: number;
  readonly theme: Theme;
  readonly onMode: (mode: Mode) => void;
  readonly onTheme: (theme: Theme) => void;
}

export function TopBar(props: Props): JSX.Element {
  const { ledger, observed, model, reflex, offline, config, mode, threshold, theme } = props;
  return (
    <header class="top-bar">
      <div class="top-row">
        <h1 class="brand">Frontdesk</h1>
        <ByteCounter bytes={ledger.totalBytes} recorded={ledger.entries.length} observed={observed} />
        <Readiness model={model} reflex={reflex} offline={offline} bytes={config.model.bytes} />
        <BackendSaid model={model} />
      </div>
      <div class="top-row top-row-mode">
        <ModeSwitch mode={mode} upstream={config.upstream} onMode={props.onMode} />
        <p class="mode-promise roomy-only">{modePromise(mode, { threshold, upstream: config.upstream })}</p>
        <ThemeButton theme={theme} onTheme={props.onTheme} />
      </div>
    </header>
  );
}

/** The hero: what left, from the ledger, beside the browser's own count of the same. */
function ByteCounter({ bytes, recorded, observed }: { readonly bytes: number; readonly recorded: number; readonly observed: number }): JSX.Element {
  const unexplained = observed > recorded;
  const requests = Math.max(observed, recorded);
  return (
    <a class="counter" href="#ledger" data-left={bytes > 0} data-testid="byte-counter">
      <Icon name={bytes > 0 ? 'office' : 'here'} />
      <span class="counter-figures">
        <span class="counter-bytes">
          <strong>{exactBytes(bytes)}</strong> left this device
        </span>
        {unexplained ? (
          <span class="counter-check counter-gap">
            <Icon name="alert" /> The browser counted {count(observed)} requests, the ledger {count(recorded)}
          </span>
        ) : (
          <span class="counter-check">
            {count(requests)} {requests === 1 ? 'request' : 'requests'} with your text
            <span class="wide-only">, checked with the browser’s own count</span>
          </span>
        )}
      </span>
    </a>
  );
}

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };
const THEME_NAMES: Readonly<Record<Theme, string>> = { system: 'Auto', light: 'Light', dark: 'Dark' };

function ThemeButton({ theme, onTheme }: { readonly theme: Theme; readonly onTheme: (theme: Theme) => void }): JSX.Element {
  const next = NEXT_THEME[theme];
  return (
    <button type="button" class="button button-quiet theme-button" aria-label={`Theme: ${THEME_NAMES[theme]}. Change to ${THEME_NAMES[next]}.`} onClick={() => onTheme(next)}>
      <Icon name="theme" />
      <span class="wide-only">{THEME_NAMES[theme]}</span>
    </button>
  );
}
