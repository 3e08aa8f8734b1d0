// What tasks on this device have learnt, and who can answer for a set of labels.
import type { Classification, Frontdesk, TaskInfo } from 'frontdesk';
import { useEffect, useState } from 'preact/hooks';
import { count } from '../../ui/format.js';
import { guaranteeSentence } from '../../ui/provenance.js';

/** The task that the page teaches itself. */
export const SAMPLE_TASK = 'samples';
/** The visitor's own, of the tab “Teach”. */
export const OWN_TASK = 'tickets';

export interface LearntTask {
  readonly name: typeof SAMPLE_TASK | typeof OWN_TASK;
  readonly info: TaskInfo;
}

/** Looks again whenever `turn` changes. The visitor's own comes first. */
export function useLearnt(desk: Frontdesk | undefined, turn: unknown): readonly LearntTask[] {
  const [learnt, setLearnt] = useState<readonly LearntTask[]>([]);
  useEffect(() => {
    let current = true;
    const look = async (): Promise<void> => {
      if (desk === undefined) return;
      const found = await Promise.all(([OWN_TASK, SAMPLE_TASK] as const).map(async (name) => ({ name, info: await desk.task(name).info() })));
      if (current) setLearnt(found.filter((task): task is LearntTask => task.info !== null));
    };
    // A desk that has just ended has no tasks; the one after it is asked in turn.
    look().catch(() => undefined);
    return () => {
      current = false;
    };
  }, [desk, turn]);
  return learnt;
}

/** The task that has learnt exactly these labels, in whatever order. */
export function taskFor(labels: readonly string[], learnt: readonly LearntTask[]): LearntTask | undefined {
  return learnt.find(({ info }) => sameLabels(info.labels, labels));
}

/** In whatever order; neither has repeats. */
export function sameLabels(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((label) => others.includes(label));
}

/** "120 sample messages". */
export function rowsOf({ name, info }: LearntTask): string {
  return `${count(info.report.examples)} ${name === SAMPLE_TASK ? 'sample messages' : 'of your rows'}`;
}

/** Which model here answered, from what, and what is promised. */
export function answeredBy({ guarantee }: Classification, task: LearntTask | undefined): string {
  const who = task === undefined ? 'The language model answered; it has learnt nothing about these labels.' : `The small model answered, from ${rowsOf(task)}.`;
  return `${who} ${guarantee.kind === 'none' ? 'There is no guarantee.' : `Guarantee: ${guaranteeSentence(guarantee)}.`}`;
}
