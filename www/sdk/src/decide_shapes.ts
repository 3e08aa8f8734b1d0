/** The shapes of `decide`: questions about a state, and answers with a probability for each option. */
import type { Classification } from './results.js';

/** A text; or an object or array, which is read as its JSON text. */
export type Words = string | object;

/** Is it so? */
export interface NoulQuestion {
  readonly type: 'noul';
  readonly instructions: Words;
  /** What yes and no mean. */
  readonly criteria?: { readonly true?: Words; readonly false?: Words };
}

/** Which of these is it? */
export interface ChoiceQuestion {
  readonly type: 'choice';
  readonly instructions: Words;
  /** 1 to 255 labels and what each means, or null. A single one is answered without asking anyone. */
  readonly criteria: Readonly<Record<string, Words | null>>;
}

/** How much is it? */
export interface ScoreQuestion {
  readonly type: 'score';
  readonly instructions: Words;
  /** 2 to 255 different levels, the lowest first. */
  readonly criteria: readonly Words[];
}

/** A question of any of the three kinds. */
export type DecideQuestion = NoulQuestion | ChoiceQuestion | ScoreQuestion;

/** 1 to 64 questions by their ids. */
export type DecideQuestions = Readonly<Record<string, DecideQuestion>>;

/** A state, and questions about it. */
export interface DecideRequest<Questions extends DecideQuestions = DecideQuestions> {
  /** What the questions are about. */
  readonly state: Words;
  readonly questions: Questions;
  /** Accepted and ignored: the desk's own model answers. */
  readonly model?: unknown;
}

/** Whether it is so. */
export interface NoulAnswer {
  readonly type: 'noul';
  /** The probability of yes, 0 to 1. */
  readonly noul: number;
}

/** Which of these it is. */
export interface ChoiceAnswer {
  readonly type: 'choice';
  /** The likeliest label. */
  readonly choice: string;
  /** By label, in the order of the criteria, summing to 1. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** (n * p - 1) / (n - 1) of n labels, the likeliest of which has p: 0 where all are alike, 1 where one is sure. */
  readonly confidence: number;
}

/** How much it is. */
export interface ScoreAnswer {
  readonly type: 'score';
  /** The expected level: the sum of each level's number times its probability. */
  readonly score: number;
  /** The levels by their numbers, as they were given. */
  readonly legend: Readonly<Record<string, Words>>;
  /** By the levels' numbers, summing to 1. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** As a choice's. */
  readonly confidence: number;
}

/** An answer of any of the three kinds. */
export type DecideAnswer = NoulAnswer | ChoiceAnswer | ScoreAnswer;

/** The answer to a question of this type. */
export type AnswerTo<Question extends DecideQuestion> = Extract<DecideAnswer, { readonly type: Question['type'] }>;

/** Where an answer came from, and all that a classification says about itself. */
export interface DecideProvenance extends Classification {
  /**
   * `device`: computed. `choice`: nobody gave probabilities, because the cloud only names an option or there was only
   * one; that option has 1, which tells nothing of how sure it is.
   */
  readonly probabilitiesFrom: 'device' | 'choice';
}

/** The answers, and where each came from. */
export interface DecideResponse<Questions extends DecideQuestions = DecideQuestions> {
  /** The id of the model on the device, whoever answered (see `frontdesk`); empty in `only_in_cloud`. */
  readonly model: string;
  /** By the questions' ids. */
  readonly answers: { readonly [Id in keyof Questions]: AnswerTo<Questions[Id]> };
  /** Tokens of whoever gave each answer; those that a cloud did not report are not in it. */
  readonly usage: { readonly input_tokens: number; readonly output_tokens: number };
  /** By the questions' ids: who answered and why, and what left the device. */
  readonly frontdesk: { readonly [Id in keyof Questions]: DecideProvenance };
}
