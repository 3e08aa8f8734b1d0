// What an error budget takes and allows, in numbers and in words.
import type { Evaluation, TaskGuarantee } from 'frontdesk';
import { count, percent } from '../../../ui/format.js';

export const CONFIDENCE = 0.95;
/** What the SDK asks for where nothing is certified. */
export const UNCERTIFIED_THRESHOLD = 0.6;
const STEPS = [0.05, 0.1, 0.15, 0.2, 0.3];

/** The fewest rows, all answered right, that can show so few errors. */
export function rowsNeeded(maxError: number): number {
  return Math.ceil(Math.log(1 - CONFIDENCE) / Math.log(1 - maxError));
}

/** The smallest usual budget that so many rows can carry at all. */
export function firstBudget(rows: number): number {
  return STEPS.find((step) => rowsNeeded(step) <= rows) ?? 0.3;
}

/** Share of the certifying rows that is answered here; nothing counts as staying without a guarantee. */
export function shareHere({ certified, rows }: TaskGuarantee): number {
  return certified === null || rows === 0 ? 0 : certified.accepted / rows;
}

export function thresholdOf(guarantee: TaskGuarantee | undefined): number {
  return guarantee?.certified?.threshold ?? UNCERTIFIED_THRESHOLD;
}

export function guaranteeWords(guarantee: TaskGuarantee): string {
  const { certified, budget, rows, neededRows } = guarantee;
  const limit = percent(budget.maxError);
  if (certified !== null) {
    return `${percent(shareHere(guarantee))} would stay here; at most ${limit} of all answers wrong because answered here, with ${percent(budget.confidence)} confidence.`;
  }
  const plain = `No guarantee at ${limit}, so nothing is counted as staying here.`;
  if (rows < neededRows) return `${plain} It takes at least ${count(neededRows)} rows to certify with, all answered right; there are ${count(rows)}.`;
  return `${plain} With ${count(rows)} rows to certify with, too many sure answers were wrong; more rows, or a larger budget, may do.`;
}

/** The point of the test rows' curve that a threshold leads to. */
export function pointAt(curve: Evaluation['curve'], threshold: number): Evaluation['curve'][number] | undefined {
  return curve.filter((point) => point.threshold >= threshold).reduce<Evaluation['curve'][number] | undefined>((widest, point) => (widest === undefined || point.coverage > widest.coverage ? point : widest), undefined);
}
