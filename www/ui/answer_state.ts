// What an answer card shows: a question and how far its answer is.
import type { Classification } from 'frontdesk';
import type { Mode } from './modes.js';
import type { Problem } from './problems.js';

export interface Question {
  readonly text: string;
  readonly labels: readonly string[];
  readonly mode: Mode;
  readonly threshold: number;
}

export interface Answer {
  readonly question: Question;
  readonly result: Classification;
  /** Where the model here computed. */
  readonly ranOn: string;
  /** Which model here answered and what it had to go by, as a sentence. */
  readonly by?: string;
}

export interface AnswerState {
  readonly phase: 'empty' | 'thinking' | 'answered' | 'stopped' | 'failed';
  /** The newest answer; kept on screen, dimmed, while the next one is made. */
  readonly answer?: Answer;
  readonly problem?: Problem;
  /** The mode, stricter than the question's, that its answer was stopped for. */
  readonly stoppedFor?: Mode;
}
