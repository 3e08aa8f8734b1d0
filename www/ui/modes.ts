// The five modes in words, and what each promises about the visitor's text.
import type { Mode } from 'frontdesk';
import { percent } from './format.js';

export type { Mode };

export interface ModeWords {
  readonly mode: Mode;
  readonly name: string;
  /** Makes no sense without a back office. */
  readonly needsBackOffice: boolean;
}

export const MODES: readonly ModeWords[] = [
  { mode: 'only_on_device', name: 'Only here', needsBackOffice: false },
  { mode: 'prefer_on_device', name: 'Here first', needsBackOffice: false },
  { mode: 'cascade', name: 'Ask when unsure', needsBackOffice: false },
  { mode: 'prefer_in_cloud', name: 'Back office first', needsBackOffice: true },
  { mode: 'only_in_cloud', name: 'Only back office', needsBackOffice: true },
];

export function isMode(value: unknown): value is Mode {
  return MODES.some((words) => words.mode === value);
}

export function modeName(mode: Mode): string {
  return MODES.find((words) => words.mode === mode)?.name ?? mode;
}

/** What is said where an answer was stopped, because the visitor chose a stricter mode meanwhile. */
export function stoppedWords(mode: Mode): string {
  return `Stopped, because the mode “${modeName(mode)}” allows less than before.`;
}

/** One sentence: what happens to the text in this mode. */
export function modePromise(mode: Mode, facts: { threshold: number; upstream: boolean }): string {
  if (!facts.upstream) {
    return mode === 'cascade' ? 'No back office is set up: nothing can leave, and unsure answers say so.' : 'No back office is set up: nothing can leave.';
  }
  switch (mode) {
    case 'only_on_device':
      return 'Text never leaves this device.';
    case 'prefer_on_device':
      return 'The text leaves only if the model cannot answer here.';
    case 'cascade':
      return `The text leaves only if the model is less than ${percent(facts.threshold)} sure.`;
    case 'prefer_in_cloud':
      return 'Every text goes to the back office; the model here steps in when that fails.';
    case 'only_in_cloud':
      return 'Every text goes to the back office.';
  }
}
