// The page's side of the service worker: registered when there is time, asked to take over when the visitor says so.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';

export interface Offline {
  /** Everything but the models is kept, so that the page opens without a network. */
  readonly isKept: boolean;
  /** There is a new version of the page, whole and waiting. */
  readonly hasUpdate: boolean;
  /** Reloads the page into the new version. */
  readonly update: () => void;
}

const SCRIPT = './sw.js';

/** Begins when `mayStart`: the first answer comes first. */
export function useServiceWorker(mayStart: boolean): Offline {
  const [registration, setRegistration] = useState<ServiceWorkerRegistration>();
  const [, look] = useState(0);
  const wanted = useRef(false);

  useEffect(() => {
    if (!mayStart || !('serviceWorker' in navigator)) return;
    // Without it the page works all the same, only not without a network.
    navigator.serviceWorker.register(SCRIPT).then(setRegistration, (error: unknown) => console.warn('No service worker:', error));
  }, [mayStart]);

  useEffect(() => {
    if (registration === undefined) return;
    const again = (): void => look((turn) => turn + 1);
    const watch = (): void => {
      again();
      registration.installing?.addEventListener('statechange', again);
    };
    watch();
    registration.addEventListener('updatefound', watch);
    const takenOver = (): void => {
      // Only where the button was pressed: other tabs go on with the files that they have.
      if (wanted.current) location.reload();
      else again();
    };
    navigator.serviceWorker.addEventListener('controllerchange', takenOver);
    return () => {
      registration.removeEventListener('updatefound', watch);
      navigator.serviceWorker.removeEventListener('controllerchange', takenOver);
    };
  }, [registration]);

  const update = useCallback(() => {
    wanted.current = true;
    registration?.waiting?.postMessage('take_over');
  }, [registration]);

  const isKept = Boolean(registration?.active);
  const hasUpdate = isKept && Boolean(registration?.waiting);
  return useMemo(() => ({ isKept, hasUpdate, update }), [isKept, hasUpdate, update]);
}
