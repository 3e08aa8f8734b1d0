/** Checks of `decide`'s requests, which become texts, questions and labels; anything senseless is `invalid_input`. */
import { checkLabel, checkObject, MAX_LABEL_LENGTH } from './checks.js';
import type { DecideQuestion, DecideRequest, Words } from './decide_shapes.js';
import { InvalidInputError } from './errors.js';
import type { Label } from './protocol.js';

const MAX_QUESTIONS = 64;
const MAX_OPTIONS = 255;

/** A question as a choice among labels. */
export interface CheckedQuestion {
  readonly id: string;
  readonly type: DecideQuestion['type'];
  readonly question: string;
  /** The options: yes and no, the labels, or the levels. */
  readonly labels: readonly Label[];
  /** A score's levels as they were given; else empty. */
  readonly levels: readonly Words[];
}

export interface CheckedRequest {
  readonly state: string;
  readonly questions: readonly CheckedQuestion[];
}

/** Throws `InvalidInputError` for what is not of the documented shape, fields without meaning among it. */
export function checkDecideRequest(request: DecideRequest): CheckedRequest {
  const { state, questions } = fields(request, { what: 'the request', known: ['state', 'questions', 'model'] });
  const entries = entriesOf(questions, 'questions');
  if (entries.length < 1 || entries.length > MAX_QUESTIONS) {
    throw new InvalidInputError(`${entries.length} questions; 1 to ${MAX_QUESTIONS} are possible`);
  }
  return { state: wordsOf(state, 'state'), questions: entries.map(([id, question]) => checkQuestion(id, question)) };
}

function checkQuestion(id: string, given: unknown): CheckedQuestion {
  const what = `question '${id}'`;
  const { type, instructions, criteria } = fields(given, { what, known: ['type', 'instructions', 'criteria'] });
  const question = wordsOf(instructions, `the instructions of ${what}`);
  if (question.trim() === '') throw new InvalidInputError(`the instructions of ${what} are empty`);
  switch (type) {
    case 'noul':
      return { id, type, question, labels: noulLabels(criteria, what), levels: [] };
    case 'choice':
      return { id, type, question, labels: choiceLabels(criteria, what), levels: [] };
    case 'score':
      return { id, type, question, ...scoreLabels(criteria, what) };
    default:
      throw new InvalidInputError(`the type of ${what} must be noul, choice or score`);
  }
}

function noulLabels(criteria: unknown, what: string): Label[] {
  const { true: yes, false: no } = criteria === undefined ? {} : fields(criteria, { what: `the criteria of ${what}`, known: ['true', 'false'] });
  return [described('yes', yes, what), described('no', no, what)];
}

function choiceLabels(criteria: unknown, what: string): Label[] {
  const entries = entriesOf(criteria, `the criteria of ${what}`);
  checkCount(entries.length, { min: 1, what });
  return entries.map(([name, description]) => described(name, description, what));
}

/** A level is its text, or its number where one of them is too long for a label. */
function scoreLabels(criteria: unknown, what: string): Pick<CheckedQuestion, 'labels' | 'levels'> {
  if (!Array.isArray(criteria)) throw new InvalidInputError(`the criteria of ${what} must be an array of levels`);
  checkCount(criteria.length, { min: 2, what });
  const levels = Array.from(criteria as readonly unknown[]);
  const texts = levels.map((level) => wordsOf(level, `a level of ${what}`).trim());
  if (new Set(texts).size !== texts.length) throw new InvalidInputError(`the levels of ${what} must differ from each other`);
  if (texts.includes('')) throw new InvalidInputError(`a level of ${what} is empty`);
  const long = texts.some((text) => text.length > MAX_LABEL_LENGTH);
  const labels = texts.map((text, index) => (long ? described(String(index), text, what) : described(text, undefined, what)));
  return { labels, levels: levels as Words[] };
}

function checkCount(count: number, { min, what }: { min: number; what: string }): void {
  if (count < min || count > MAX_OPTIONS) throw new InvalidInputError(`${what} has ${count} criteria; ${min} to ${MAX_OPTIONS} are possible`);
}

function described(name: string, given: unknown, what: string): Label {
  const description = given === undefined || given === null ? '' : wordsOf(given, `a criterion of ${what}`).trim();
  return checkLabel(description === '' ? name : { name, description });
}

function wordsOf(given: unknown, what: string): string {
  if (typeof given === 'string') return given;
  if (typeof given !== 'object' || given === null) throw new InvalidInputError(`${what} must be a string, an object or an array`);
  try {
    const text: unknown = JSON.stringify(given);
    if (typeof text === 'string') return text;
  } catch (error) {
    throw new InvalidInputError(`${what} cannot be said in JSON`, { cause: error });
  }
  throw new InvalidInputError(`${what} cannot be said in JSON`);
}

/** The object's known fields; a field of its own that is not known is refused. */
function fields(given: unknown, { what, known }: { what: string; known: readonly string[] }): Readonly<Record<string, unknown>> {
  const unknown = entriesOf(given, what).find(([name]) => !known.includes(name));
  if (unknown) throw new InvalidInputError(`${what} has a field '${unknown[0]}', which is not supported`);
  return given as Readonly<Record<string, unknown>>;
}

function entriesOf(given: unknown, what: string): [string, unknown][] {
  checkObject(given, what);
  return Object.entries(given);
}
