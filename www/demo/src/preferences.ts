// The only things this page keeps: theme, mode, labels and where the model computes; never text.
import { isBackendChoice, type BackendChoice } from '../../ui/backends.js';
import { DEFAULT_LABELS } from './samples.js';
import { isMode, type Mode } from '../../ui/modes.js';

export type Theme = 'system' | 'light' | 'dark';

export interface Preferences {
  readonly theme: Theme;
  readonly mode: Mode;
  readonly labels: readonly string[];
  readonly backend: BackendChoice;
}

const KEY = 'frontdesk-demo';
const DEFAULTS: Preferences = { theme: 'system', mode: 'cascade', labels: DEFAULT_LABELS, backend: 'auto' };

export function readPreferences(): Preferences {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    const { theme, mode, labels, backend } = (stored ?? {}) as Record<string, unknown>;
    return {
      theme: theme === 'light' || theme === 'dark' ? theme : DEFAULTS.theme,
      mode: isMode(mode) ? mode : DEFAULTS.mode,
      labels: isLabelList(labels) ? labels : DEFAULTS.labels,
      backend: isBackendChoice(backend) ? backend : DEFAULTS.backend,
    };
  } catch {
    return DEFAULTS;
  }
}

/** Private windows may refuse storage; the page then forgets, which does no harm. */
export function writePreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Nothing was lost but a preference.
  }
}

export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}

function isLabelList(value: unknown): value is string[] {
  return Array.isArray(value) && value.length >= 2 && value.every((label) => typeof label === 'string');
}
