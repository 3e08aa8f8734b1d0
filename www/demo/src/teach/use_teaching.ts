// One task's life in the tab: each step is one call of the SDK, can be stopped, and ends in one sentence.
import type { Frontdesk, LearnProgress, PrefillProgress, Task, TaskInfo } from 'frontdesk';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { count, percent } from '../../../ui/format.js';
import { OWN_TASK } from '../learnt.js';
import { noteCall } from '../open_desk.js';
import { isAbort, teachingProblemOf } from '../../../ui/problems.js';
import { CONFIDENCE, firstBudget, guaranteeWords } from './budget.js';
import type { Parts } from './split.js';
import { NOTHING_YET, testRowsOf, type TeachingState, type Tried } from './teaching_state.js';

export interface Teaching {
  readonly state: TeachingState;
  readonly learn: (parts: Parts) => void;
  readonly cancel: () => void;
  readonly setBudget: (maxError: number) => void;
  readonly tryText: (text: string) => void;
  readonly correct: (rows: readonly { readonly text: string; readonly label: string }[]) => void;
  readonly improve: () => void;
  readonly goBack: () => void;
  readonly save: () => void;
  readonly load: (file: File) => void;
  readonly forget: () => void;
}

const FILE_NAME = 'tickets.fdtask';
const DEBOUNCE_MS = 200;
/** Learning in units of a text read: what the progress bar reckons with. */
const LEARNING_WEIGHT = 0.25;

type Patch = Partial<TeachingState>;
type Step = (tools: { readonly task: Task; readonly signal: AbortSignal; readonly tell: (words: string, share?: number) => void }) => Promise<Patch>;

export function useTeaching(desk: Frontdesk | undefined): Teaching {
  const [state, setState] = useState(NOTHING_YET);
  const latest = useRef(state);
  const running = useRef<AbortController | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  /** What a step that was put off finds when its turn comes: the desk may be another one by then. */
  const current = useRef(desk);
  current.current = desk;

  const patch = useCallback((change: Patch, gone: readonly (keyof TeachingState)[] = []) => {
    const rest = Object.fromEntries(Object.entries(latest.current).filter(([key]) => !gone.includes(key as keyof TeachingState)));
    latest.current = { ...(rest as unknown as TeachingState), ...change };
    setState(latest.current);
  }, []);

  const perform = useCallback(
    (words: string, step: Step) => {
      const { current: now } = current;
      if (now?.info?.reflex === undefined || running.current !== undefined) return;
      const controller = new AbortController();
      running.current = controller;
      patch({ busy: { words }, said: '' }, ['problem', 'notice']);
      const tell = (doing: string, share?: number): void => patch({ busy: { words: doing, ...(share !== undefined && { share }) } });
      noteCall(now, step({ task: now.task(OWN_TASK), signal: controller.signal, tell }))
        .then((change) => patch(change, ['busy']))
        .catch((error: unknown) => {
          if (isAbort(error)) patch(saying('learn', 'Stopped. What was learnt so far stays as it is.'), ['busy']);
          else patch({ problem: teachingProblemOf(error) }, ['busy']);
        })
        .finally(() => (running.current = undefined));
    },
    [patch],
  );

  const sort = useCallback(
    async (texts: readonly string[], signal: AbortSignal, parts: Parts | undefined): Promise<readonly Tried[]> => {
      if (desk === undefined || texts.length === 0) return [];
      const answers = await desk.classify(texts, { task: OWN_TASK, mode: 'only_on_device', signal });
      const expected = new Map(parts?.inbox.map(({ text, label }) => [text, label]));
      return answers.map(({ local, value }, index) => {
        const text = texts[index] ?? '';
        const label = expected.get(text);
        return { text, value, confidence: local?.confidence ?? 0, isStrange: local?.trained?.isOutOfScope ?? false, ...(label !== undefined && { expected: label }) };
      });
    },
    [desk],
  );

  // What an earlier visit has left on the device.
  useEffect(() => {
    perform('Looking for what was learnt before', async ({ task }) => foundPatch(await task.info()));
  }, [desk, perform]);

  const learn = (parts: Parts): void => {
    const budget = firstBudget(parts.calibrate.length);
    perform('Reading the examples', async ({ task, signal, tell }) => {
      const tests = [...parts.inbox, ...parts.held];
      const sizes = { learn: parts.learn.length, fit: parts.learn.length * LEARNING_WEIGHT, calibrate: parts.calibrate.length, test: tests.length };
      const all = sizes.learn + sizes.fit + sizes.calibrate + sizes.test;
      const from = (words: string, start: number) => ({
        signal,
        onProgress: (event: PrefillProgress | LearnProgress) => {
          if (event.type === 'learning') tell('Learning', (sizes.learn + event.share * sizes.fit) / all);
          else tell(words, (start + event.done) / all);
        },
      });
      const info = await task.learn(parts.learn, from('Reading the examples', 0));
      // From here on the new task answers, also where the rest is stopped.
      patch({ info, parts, budget, tried: [], corrected: new Map(), promotions: 0 }, ['evaluation', 'guarantee', 'improvement']);
      const guarantee = await task.calibrate(parts.calibrate, { maxError: budget, confidence: CONFIDENCE, ...from('Certifying on other rows', sizes.learn + sizes.fit) });
      const evaluation = await task.evaluate(tests, from('Testing on the rest', all - sizes.test));
      const tried = await sort(parts.inbox.map(({ text }) => text), signal, parts);
      const said = `Learnt from ${count(parts.learn.length)} rows. Of ${count(evaluation.rows)} others it gets ${percent(evaluation.accuracy)} right.`;
      return { info: await task.info(), guarantee, evaluation, tried, said };
    });
  };

  const certify = (maxError: number): void => {
    perform('Certifying', async ({ task, signal }) => {
      const { info, parts } = latest.current;
      const rows = (info?.memory.certify ?? 0) > 0 ? undefined : parts?.calibrate;
      if (rows === undefined && (info?.memory.certify ?? 0) === 0) return {};
      const guarantee = await task.calibrate(rows, { maxError, confidence: CONFIDENCE, signal });
      return { guarantee, info: await task.info(), said: guaranteeWords(guarantee) };
    });
  };

  const setBudget = (budget: number): void => {
    patch({ budget });
    clearTimeout(timer.current);
    const ask = (): void => {
      // Another step is under way: this one waits for its turn.
      if (running.current !== undefined) timer.current = setTimeout(ask, DEBOUNCE_MS);
      else certify(latest.current.budget);
    };
    timer.current = setTimeout(ask, DEBOUNCE_MS);
  };
  useEffect(() => () => clearTimeout(timer.current), []);

  const tryText = (text: string): void => {
    perform('Reading', async ({ signal }) => {
      const { tried, parts } = latest.current;
      const [answer] = await sort([text], signal, parts);
      if (answer === undefined) return {};
      return { tried: [answer, ...tried.filter((other) => other.text !== text)], said: `${answer.value}, ${percent(answer.confidence)} sure.` };
    });
  };

  const correct: Teaching['correct'] = (rows) => {
    perform('Noting', async ({ task, signal, tell }) => {
      for (const [index, { text, label }] of rows.entries()) {
        if (rows.length > 1) tell('Noting', index / rows.length);
        const info = await task.correct(text, label, { signal });
        patch({ info, corrected: new Map(latest.current.corrected).set(text, label) });
      }
      return { said: `${rows.length === 1 ? 'The label is' : `${count(rows.length)} labels are`} noted. “Improve” learns from ${rows.length === 1 ? 'it' : 'them'}.` };
    });
  };

  /** Figures and sorted texts of the version that answers now. */
  const lookAgain = async (task: Task, signal: AbortSignal): Promise<Patch> => {
    const { parts, tried, corrected } = latest.current;
    const info = await task.info();
    const evaluation = parts && (await task.evaluate(testRowsOf(parts, corrected), { signal }));
    const again = await sort(tried.map(({ text }) => text), signal, parts);
    return { info, tried: again, ...(info?.guarantee && { guarantee: info.guarantee, budget: info.guarantee.budget.maxError }), ...(evaluation && { evaluation }) };
  };

  const improve = (): void => {
    perform('Learning from the corrections', async ({ task, signal, tell }) => {
      const { parts, promotions } = latest.current;
      const improvement = await task.improve({
        fresh: parts?.held ?? [],
        signal,
        onProgress: (event) => tell('Learning from the corrections', event.type === 'learning' ? event.share : event.done / event.total),
      });
      if (improvement.outcome !== 'promoted') return { improvement, info: await task.info(), said: 'The old version goes on.' };
      patch({ promotions: promotions + 1 });
      return { improvement, ...(await lookAgain(task, signal)), said: 'The new version answers from now on.' };
    });
  };

  const goBack = (): void => {
    perform('Going back', async ({ task, signal }) => {
      const info = await task.rollback();
      const { promotions } = latest.current;
      const said = saying('improve', 'The version before answers again.');
      patch({ info }, ['improvement', 'guarantee']);
      if (promotions > 0) return { promotions: promotions - 1, ...(await lookAgain(task, signal)), ...said };
      // These rows may not be the ones that it was learnt from, so they cannot test it.
      patch({}, ['parts', 'evaluation']);
      return { ...foundPatch(info), tried: [], corrected: new Map(), ...said };
    });
  };

  const save = (): void => {
    perform('Saving', async ({ task }) => {
      saveFile(await task.export());
      return saying('keep', `Saved as ${FILE_NAME}. It holds no text.`);
    });
  };

  const load = (file: File): void => {
    perform('Reading the file', async ({ task }) => {
      const info = await task.import(new Uint8Array(await file.arrayBuffer()));
      patch({}, ['parts', 'evaluation', 'improvement', 'guarantee']);
      return { ...foundPatch(info), tried: [], corrected: new Map(), promotions: 0, ...saying('keep', `Imported: ${count(info.labels.length)} labels.`) };
    });
  };

  const forget = (): void => {
    perform('Forgetting', async ({ task }) => {
      await task.forget();
      patch({}, ['parts', 'evaluation', 'improvement', 'guarantee']);
      return { info: null, tried: [], corrected: new Map(), promotions: 0, ...saying('keep', 'Forgotten. Nothing that was learnt is left on this device.') };
    });
  };

  const cancel = useCallback(() => running.current?.abort(), []);
  return useMemo(() => ({ state, learn, cancel, setBudget, tryText, correct, improve, goBack, save, load, forget }), [state, desk, perform, sort]);
}

function saying(at: 'learn' | 'keep' | 'improve', words: string): Patch {
  return { notice: { at, words }, said: words };
}

function foundPatch(info: TaskInfo | null): Patch {
  return { info, ...(info?.guarantee && { guarantee: info.guarantee, budget: info.guarantee.budget.maxError }) };
}

/** The file is made in the page and never sent. */
function saveFile(bytes: Uint8Array<ArrayBuffer>): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = FILE_NAME;
  link.click();
  URL.revokeObjectURL(url);
}
