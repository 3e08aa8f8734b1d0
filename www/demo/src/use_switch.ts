// A model that is ready goes elsewhere: a second one is loaded there, and only then takes the first one's place.
import type { Backend, Frontdesk } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { BackendChoice } from '../../ui/backends.js';
import { switchProblemOf, type Problem } from '../../ui/problems.js';

export type Switching =
  | { readonly phase: 'loading'; readonly choice: BackendChoice; readonly share?: number }
  /** The model before goes on answering. */
  | { readonly phase: 'failed'; readonly problem: Problem };

export interface SwitchOrder {
  readonly choice: BackendChoice;
  /** Where the model computes that goes on if this fails. */
  readonly from: Backend;
  readonly open: (how: { readonly signal: AbortSignal; readonly onShare: (share: number) => void }) => Promise<Frontdesk>;
  readonly onOpened: (desk: Frontdesk) => void;
}

export interface Switch {
  readonly state: Switching | undefined;
  /** Gives up what is under way first. */
  readonly begin: (order: SwitchOrder) => void;
  readonly cancel: () => void;
  /** A problem that was met elsewhere, or `undefined` once it was read. */
  readonly show: (problem: Problem | undefined) => void;
}

export function useSwitch(): Switch {
  const [state, setState] = useState<Switching>();
  const running = useRef<AbortController | undefined>(undefined);

  const cancel = useCallback(() => {
    running.current?.abort();
    running.current = undefined;
    setState(undefined);
  }, []);

  const begin = useCallback(
    ({ choice, from, open, onOpened }: SwitchOrder) => {
      cancel();
      const controller = new AbortController();
      const { signal } = controller;
      running.current = controller;
      setState({ phase: 'loading', choice });
      open({ signal, onShare: (share) => !signal.aborted && setState({ phase: 'loading', choice, share }) })
        .then((desk) => {
          // Given up at the last moment.
          if (signal.aborted) return void desk.destroy();
          running.current = undefined;
          setState(undefined);
          onOpened(desk);
        })
        .catch((error: unknown) => {
          if (signal.aborted) return;
          running.current = undefined;
          setState({ phase: 'failed', problem: switchProblemOf(error, { choice, from }) });
        });
    },
    [cancel],
  );

  const show = useCallback((problem: Problem | undefined) => setState(problem && { phase: 'failed', problem }), []);
  return useMemo(() => ({ state, begin, cancel, show }), [state, begin, cancel, show]);
}
