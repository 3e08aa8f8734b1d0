// What the tab knows about the task: learnt, tested, certified, tried and corrected.
import type { Evaluation, Improvement, TaskGuarantee, TaskInfo } from 'frontdesk';
import type { Problem } from '../../../ui/problems.js';
import type { Parts } from './split.js';

export interface Busy {
  readonly words: string;
  /** 0 to 1; left out where it takes an instant. */
  readonly share?: number;
}

/** A text that the task has looked at. */
export interface Tried {
  readonly text: string;
  readonly value: string;
  readonly confidence: number;
  readonly isStrange: boolean;
  /** What the rows say, where it is one of theirs. */
  readonly expected?: string;
}

export interface TeachingState {
  readonly busy?: Busy;
  readonly problem?: Problem;
  /** What is on the device: `null` is nothing, `undefined` not looked at yet. */
  readonly info: TaskInfo | null | undefined;
  /** Rows of this visit; texts are not kept, so a task of an earlier one has none. */
  readonly parts?: Parts;
  readonly evaluation?: Evaluation;
  readonly budget: number;
  readonly guarantee?: TaskGuarantee;
  readonly tried: readonly Tried[];
  /** Right labels that a person gave, by text. */
  readonly corrected: ReadonlyMap<string, string>;
  readonly improvement?: Improvement;
  /** Since the rows were learnt from. */
  readonly promotions: number;
  /** What happened last, where no figure or list shows it. */
  readonly notice?: { readonly at: 'learn' | 'keep' | 'improve'; readonly words: string };
  /** The same and more for who listens, announced once. */
  readonly said: string;
}

export const NOTHING_YET: TeachingState = { info: undefined, budget: 0.05, tried: [], corrected: new Map(), promotions: 0, said: '' };

/** Whether a tried text would stay here. */
export function staysHere({ confidence, isStrange }: Tried, threshold: number): boolean {
  return !isStrange && confidence >= threshold;
}

/** After corrections only the rows that were never shown test fairly. */
export function testRowsOf(parts: Parts, corrected: ReadonlyMap<string, string>): Parts['held'] {
  return corrected.size === 0 ? [...parts.inbox, ...parts.held] : parts.held;
}
