// What can be done with a text, and the selection that waits for its window's panel.
import * as v from 'valibot';

export const JOBS = [
  { job: 'classify', name: 'Classify' },
  { job: 'route', name: 'Route' },
  { job: 'summarise', name: 'Summarise' },
] as const;

export type Job = (typeof JOBS)[number]['job'];

/** About what fits beside labels and an answer into the model's 2048 tokens. */
export const MOST_CHARACTERS = 6000;

export function isJob(value: unknown): value is Job {
  return JOBS.some(({ job }) => job === value);
}

const JOB = v.picklist(JOBS.map(({ job }) => job));

/** A text that is too long is not passed on, only how long it was. */
const SELECTION = v.union([
  v.strictObject({ job: JOB, text: v.pipe(v.string(), v.maxLength(MOST_CHARACTERS)) }),
  v.strictObject({ job: JOB, tooLong: v.pipe(v.number(), v.integer()) }),
]);

export type Selection = v.InferOutput<typeof SELECTION>;

export function selectionOf(job: Job, text: string): Selection {
  return text.length > MOST_CHARACTERS ? { job, tooLong: text.length } : { job, text };
}

/** Of this session only: in memory, and taken away by the panel that runs it. */
export async function leaveSelection(windowId: number, selection: Selection): Promise<void> {
  await chrome.storage.session.set({ [keyOf(windowId)]: selection });
}

/** Hands on what waits for this window, now and later; gives a function that stops. */
export function takeSelections(windowId: number, take: (selection: Selection) => void): () => void {
  const key = keyOf(windowId);
  const use = (value: unknown): void => {
    if (value === undefined) return;
    void chrome.storage.session.remove(key);
    const parsed = v.safeParse(SELECTION, value);
    if (parsed.success) take(parsed.output);
  };
  const hear = (changes: Readonly<Record<string, chrome.storage.StorageChange>>): void => use(changes[key]?.newValue);
  chrome.storage.session.onChanged.addListener(hear);
  void chrome.storage.session.get(key).then((stored) => use(stored[key]));
  return () => chrome.storage.session.onChanged.removeListener(hear);
}

function keyOf(windowId: number): string {
  return `selection-${windowId}`;
}
