// Hooks around the ledger: redraw when it changes, and the browser's own count of the same requests.
import { useEffect, useReducer, useState } from 'preact/hooks';
import { completionsUrl, type DemoConfig } from './config.js';
import type { Ledger } from '../../ui/ledger.js';

export function useLedger(ledger: Ledger): Ledger {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  useEffect(() => ledger.subscribe(() => redraw(undefined)), [ledger]);
  return ledger;
}

/**
 * Requests that could carry text, as the browser's resource timing counted them: everything to the back office
 * and everything to other hosts. It is independent of the ledger, so a gap between the two would show.
 */
export function useObservedRequests(config: DemoConfig): number {
  const [seen, setSeen] = useState(0);
  useEffect(() => {
    const observer = new PerformanceObserver((list) => {
      const leaving = list.getEntries().filter((entry) => carriesText(entry.name, completionsUrl(config)));
      if (leaving.length > 0) setSeen((before) => before + leaving.length);
    });
    observer.observe({ type: 'resource', buffered: true });
    return () => observer.disconnect();
  }, [config]);
  return seen;
}

function carriesText(address: string, office: string): boolean {
  const url = new URL(address, location.href);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return false;
  return url.origin !== location.origin || url.href === office;
}
