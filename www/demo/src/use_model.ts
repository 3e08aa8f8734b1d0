// The language model's life on this page: looked for, downloaded with consent, cancelled, resumed, ready, and moved elsewhere.
import { Frontdesk, type BackendChange, type ModelInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isThere, placeOf, possibleChoice, type BackendChoice } from '../../ui/backends.js';
import { MODELS_PATH, type DemoConfig } from './config.js';
import type { Ledger } from '../../ui/ledger.js';
import { endDesk, openDesk, type Opening } from './open_desk.js';
import { errorFacts, isAbort, isOfTheGpu, problemOf, switchProblemOf, type Problem } from '../../ui/problems.js';
import { TransferMeter, type Transfer } from '../../ui/transfer.js';
import { useSwitch, type Switching } from './use_switch.js';

export type ModelState =
  | { readonly phase: 'checking' }
  | { readonly phase: 'unsupported'; readonly reasons: readonly string[] }
  /** Waiting for the visitor's word to fetch it; `interrupted` after a cancelled download. */
  | { readonly phase: 'waiting'; readonly interrupted?: Transfer }
  | { readonly phase: 'downloading'; readonly transfer: Transfer }
  /** The file is here; it is being checked and taken into memory. */
  | { readonly phase: 'loading'; readonly share?: number }
  | ReadyState
  | { readonly phase: 'failed'; readonly problem: Problem };

export interface ReadyState {
  readonly phase: 'ready';
  readonly desk: Frontdesk;
  readonly info: ModelInfo | undefined;
  /** What it was made with. */
  readonly choice: BackendChoice;
  /** Why a GPU that was asked for did not take it. */
  readonly refusal?: string;
  /** Since its GPU was lost. */
  readonly moved?: BackendChange;
}

export interface Model {
  readonly state: ModelState;
  /** Known once the browser was looked at. */
  readonly isolated: boolean | undefined;
  /** What may not be as good as it could be here, in the SDK's words. */
  readonly notes: readonly string[];
  readonly start: () => void;
  readonly cancel: () => void;
  /** What is chosen now: also while the model is on its way there. */
  readonly choice: BackendChoice;
  readonly switching: Switching | undefined;
  /** Loads the model where it shall compute from now on; before it is ready, the choice is only noted. */
  readonly choose: (choice: BackendChoice) => void;
  readonly cancelSwitch: () => void;
  readonly closeProblem: () => void;
}

interface Wish {
  /** False while the small model is on its way, which answers sooner without company. */
  readonly mayStart: boolean;
  readonly choice: BackendChoice;
  readonly onChoice: (choice: BackendChoice) => void;
}

export function useModel(config: DemoConfig, ledger: Ledger, { mayStart, choice: kept, onChoice }: Wish): Model {
  const [state, setState] = useState<ModelState>({ phase: 'checking' });
  const [isKept, setKept] = useState(false);
  const [isolated, setIsolated] = useState<boolean>();
  const [notes, setNotes] = useState<readonly string[]>([]);
  const running = useRef<AbortController | undefined>(undefined);
  const wished = useRef(possibleChoice(kept));
  const isOpen = useRef(false);
  const { state: switching, begin, cancel: cancelSwitch, show } = useSwitch();

  const open = useCallback(
    ({ choice, ...opening }: Pick<Opening, 'signal' | 'onDownload' | 'onLoad'> & { readonly choice: BackendChoice }) =>
      openDesk({
        ...opening,
        config,
        ledger,
        models: { model: config.model.id, backend: choice },
        onMoved: (desk, moved) => setState((before) => (before.phase === 'ready' && before.desk === desk ? { ...before, moved } : before)),
      }),
    [config, ledger],
  );

  const becomeReady = useCallback((desk: Frontdesk, choice: BackendChoice) => {
    setState({ phase: 'ready', desk, info: desk.info, choice });
  }, []);

  const start = useCallback(() => {
    // A second desk would take the place of the first, which nobody would end.
    if (running.current !== undefined || isOpen.current) return;
    const controller = new AbortController();
    running.current = controller;
    const meter = new TransferMeter();
    let latest: Transfer | undefined;
    setState({ phase: 'loading' });
    const openWith = async (choice: BackendChoice): Promise<Frontdesk> => {
      const desk = await open({
        choice,
        signal: controller.signal,
        onDownload: ({ loaded, total }) => {
          latest = meter.measure({ loaded, total }, performance.now());
          setState(loaded < total ? { phase: 'downloading', transfer: latest } : { phase: 'loading' });
        },
        onLoad: ({ loaded, total }) => setState({ phase: 'loading', share: total > 0 ? loaded / total : 0 }),
      });
      isOpen.current = true;
      return desk;
    };
    const choice = wished.current;
    openWith(choice)
      .then((desk) => becomeReady(desk, choice))
      .catch(async (error: unknown) => {
        if (choice !== 'webgpu' || !isOfTheGpu(error)) throw error;
        // A GPU that was chosen on an earlier visit and is gone is no reason to have no model.
        const desk = await openWith('wasm');
        setState({ phase: 'ready', desk, info: desk.info, choice, refusal: errorFacts(error).message });
        show(switchProblemOf(error, { choice, from: 'wasm' }));
      })
      .catch((error: unknown) => {
        if (!isAbort(error)) return setState({ phase: 'failed', problem: problemOf(error) });
        setState({ phase: 'waiting', ...(latest !== undefined && latest.loaded > 0 && { interrupted: latest }) });
      })
      .finally(() => (running.current = undefined));
  }, [open, becomeReady, show]);

  const cancel = useCallback(() => running.current?.abort(), []);

  const choose = useCallback(
    (choice: BackendChoice) => {
      const settle = (): void => {
        wished.current = choice;
        onChoice(choice);
      };
      if (state.phase !== 'ready') return settle();
      const { desk: before } = state;
      const underWay = switching?.phase === 'loading';
      cancelSwitch();
      // Back to what there is.
      if (underWay && choice === state.choice) return;
      if (isThere(choice, state)) {
        setState({ phase: 'ready', desk: before, info: state.info, choice, ...(state.moved && { moved: state.moved }) });
        return settle();
      }
      begin({
        choice,
        from: placeOf(state).backend,
        open: ({ signal, onShare }) => open({ choice, signal, onDownload: () => undefined, onLoad: ({ loaded, total }) => total > 0 && onShare(loaded / total) }),
        onOpened: (desk) => {
          becomeReady(desk, choice);
          settle();
          void endDesk(before);
        },
      });
    },
    [state, switching, onChoice, cancelSwitch, begin, open, becomeReady],
  );

  useEffect(() => {
    Frontdesk.availability({ model: config.model.id, modelBaseUrl: MODELS_PATH })
      .then(({ status, reasons, crossOriginIsolated: isIsolated }) => {
        setIsolated(isIsolated);
        setNotes(reasons);
        if (status === 'unavailable') setState({ phase: 'unsupported', reasons });
        else if (status === 'available') setKept(true);
        else setState({ phase: 'waiting' });
      })
      .catch((error: unknown) => setState({ phase: 'failed', problem: problemOf(error) }));
  }, [config]);

  // A model that was kept on an earlier visit costs no download, so it starts by itself: once, also where it was cancelled since.
  useEffect(() => {
    if (!isKept || !mayStart) return;
    setKept(false);
    start();
  }, [isKept, mayStart, start]);

  const closeProblem = useCallback(() => show(undefined), [show]);
  const choice = switching?.phase === 'loading' ? switching.choice : state.phase === 'ready' ? state.choice : possibleChoice(kept);
  return useMemo(
    () => ({ state, isolated, notes, start, cancel, choice, switching, choose, cancelSwitch, closeProblem }),
    [state, isolated, notes, start, cancel, choice, switching, choose, cancelSwitch, closeProblem],
  );
}
