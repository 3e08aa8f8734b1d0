// Settings in the browser's storage: read, written and watched by the pages; the engine's page has no storage.
import { safeSettings, type Settings } from './settings.js';

const KEY = 'settings';

export async function readSettings(): Promise<Settings> {
  const stored = await chrome.storage.local.get(KEY);
  return safeSettings(stored[KEY]);
}

export async function writeSettings(settings: Settings): Promise<void> {
  await chrome.storage.local.set({ [KEY]: settings });
}

/** Gives a function that stops watching. */
export function watchSettings(listener: (settings: Settings) => void): () => void {
  const hear = (changes: Readonly<Record<string, chrome.storage.StorageChange>>): void => {
    const change = changes[KEY];
    if (change !== undefined) listener(safeSettings(change.newValue));
  };
  chrome.storage.local.onChanged.addListener(hear);
  return () => chrome.storage.local.onChanged.removeListener(hear);
}
