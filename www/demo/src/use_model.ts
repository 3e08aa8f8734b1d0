// The models' life on this page: looked for, downloaded with consent, cancelled, resumed, ready, and moved elsewhere.
import { Frontdesk, type BackendChange, type ModelInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isThere, placeOf, possibleChoice, type BackendChoice } from '../../ui/backends.js';
import { bytesOf, MODELS_PATH, wantedModels, type DemoConfig, type ModelFacts } from './config.js';
import type { Ledger } from '../../ui/ledger.js';
import { endDesk, openDesk, type Opening, type Progress } from './open_desk.js';
import { errorFacts, isAbort, isOfTheGpu, problemOf, switchProblemOf, type Problem } from '../../ui/problems.js';
import { bringTask } from './teach/bring_task.js';
import { TransferMeter, TransferSum, type Transfer } from '../../ui/transfer.js';
import { useSwitch, type Switching } from './use_switch.js';

export type ModelState =
  | { readonly phase: 'checking' }
  | { readonly phase: 'unsupported'; readonly reasons: readonly string[] }
  /** Waiting for the visitor's word to fetch `files`; `interrupted` after a cancelled download, of which no half file is kept. */
  | { readonly phase: 'waiting'; readonly files: readonly ModelFacts[]; readonly interrupted?: Transfer }
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
  readonly choice: BackendChoice;
  readonly onChoice: (choice: BackendChoice) => void;
}

export function useModel(config: DemoConfig, ledger: Ledger, { choice: kept, onChoice }: Wish): Model {
  const [state, setState] = useState<ModelState>({ phase: 'checking' });
  const [isolated, setIsolated] = useState<boolean>();
  const [notes, setNotes] = useState<readonly string[]>([]);
  const running = useRef<AbortController | undefined>(undefined);
  /** Files that are not on this device yet. */
  const missing = useRef<readonly ModelFacts[]>([]);
  const wished = useRef(possibleChoice(kept));
  const { state: switching, begin, cancel: cancelSwitch, show } = useSwitch();

  const look = useCallback(async () => {
    const found = await Promise.all(
      wantedModels(config).map(async (file) => ({ file, ...(await Frontdesk.availability({ model: file.id, modelBaseUrl: MODELS_PATH })) })),
    );
    missing.current = found.filter(({ status }) => status !== 'available').map(({ file }) => file);
    return found;
  }, [config]);

  const open = useCallback(
    (opening: Pick<Opening, 'choice' | 'signal' | 'onDownload' | 'onLoad'>) =>
      openDesk({
        ...opening,
        config,
        ledger,
        onMoved: (desk, moved) => setState((before) => (before.phase === 'ready' && before.desk === desk ? { ...before, moved } : before)),
      }),
    [config, ledger],
  );

  const becomeReady = useCallback((desk: Frontdesk, choice: BackendChoice) => {
    setState({ phase: 'ready', desk, info: desk.info, choice });
  }, []);

  const start = useCallback(() => {
    if (running.current !== undefined) return;
    const controller = new AbortController();
    running.current = controller;
    const meter = new TransferMeter();
    const sum = new TransferSum(bytesOf(missing.current));
    let latest: Transfer | undefined;
    setState({ phase: 'loading' });
    const openWith = (choice: BackendChoice): Promise<Frontdesk> =>
      open({
        choice,
        signal: controller.signal,
        onDownload: ({ loaded, total }) => {
          latest = meter.measure(sum.add({ loaded, total }), performance.now());
          setState(loaded < total ? { phase: 'downloading', transfer: latest } : { phase: 'loading' });
        },
        onLoad: ({ loaded, total }) => setState({ phase: 'loading', share: total > 0 ? loaded / total : 0 }),
      });
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
      .catch(async (error: unknown) => {
        if (!isAbort(error)) return setState({ phase: 'failed', problem: problemOf(error) });
        await look();
        setState({ phase: 'waiting', files: missing.current, ...(latest !== undefined && latest.loaded > 0 && { interrupted: latest }) });
      })
      .finally(() => (running.current = undefined));
  }, [open, becomeReady, look, show]);

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
        open: async ({ signal, onShare }) => {
          const sum = new TransferSum(bytesOf(wantedModels(config)));
          const onLoad = (progress: Progress): void => {
            const { loaded, total } = sum.add(progress);
            if (total > 0) onShare(loaded / total);
          };
          const desk = await open({ choice, signal, onDownload: () => undefined, onLoad });
          return bringTask({ from: before, to: desk });
        },
        onOpened: (desk) => {
          becomeReady(desk, choice);
          settle();
          void endDesk(before);
        },
      });
    },
    [config, state, switching, onChoice, cancelSwitch, begin, open, becomeReady],
  );

  useEffect(() => {
    look()
      .then((found) => {
        const reasons = [...new Set(found.flatMap((file) => file.reasons))];
        setIsolated(found.every((file) => file.crossOriginIsolated));
        setNotes(reasons);
        if (found.some(({ status }) => status === 'unavailable')) setState({ phase: 'unsupported', reasons });
        // Models that were kept on an earlier visit cost no download, so they start by themselves.
        else if (missing.current.length === 0) start();
        else setState({ phase: 'waiting', files: missing.current });
      })
      .catch((error: unknown) => setState({ phase: 'failed', problem: problemOf(error) }));
  }, [look, start]);

  const closeProblem = useCallback(() => show(undefined), [show]);
  const choice = switching?.phase === 'loading' ? switching.choice : state.phase === 'ready' ? state.choice : possibleChoice(kept);
  return useMemo(
    () => ({ state, isolated, notes, start, cancel, choice, switching, choose, cancelSwitch, closeProblem }),
    [state, isolated, notes, start, cancel, choice, switching, choose, cancelSwitch, closeProblem],
  );
}
