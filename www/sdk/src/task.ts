/** A task of a desk: learnt from examples, judged, certified, and kept on the device. */
import type { EngineClient } from './client.js';
import { checkOptions, MAX_LABEL_LENGTH } from './checks.js';
import { InvalidInputError, type Receipt } from './errors.js';
import type { Budget, Evaluation, Improvement, LearnProgress, PrefillProgress, TaskGuarantee, TaskInfo } from './protocol.js';
import type { Classification } from './results.js';

/** A text and the label it should get. */
export interface Example {
  readonly text: string;
  readonly label: string;
}

/** What a classification gave back: the answer itself, or the receipt of its request. */
export type AnswerOrReceipt = Classification | Receipt;

/** Options of `learn`. */
export interface LearnOptions {
  /**
   * `classes` makes every label count the same, however many examples it has; `none` (default) every example.
   * Balanced, rare labels are found more often, and frequent ones less.
   */
  readonly balance?: 'none' | 'classes';
  /** The call rejects with `signal.reason`, at once; the task stays as it was. */
  readonly signal?: AbortSignal;
  /** Texts read and in all, then the share of the learning that is done. */
  readonly onProgress?: (progress: PrefillProgress | LearnProgress) => void;
}

/** Options of `evaluate`. */
export interface JudgeOptions {
  /** The call rejects with `signal.reason`, at once. */
  readonly signal?: AbortSignal;
  /** Texts read and in all. */
  readonly onProgress?: (progress: PrefillProgress) => void;
}

/** Options of `improve`. */
export interface ImproveOptions extends Omit<LearnOptions, 'balance'> {
  /**
   * Labelled texts to compare the new with the old on, like the texts to come and never learnt from: for instance a random
   * sample that people have labelled.
   */
  readonly fresh?: readonly Example[];
}

/** What is to be promised, and how surely. */
export interface CalibrateOptions extends JudgeOptions {
  /** Largest share of errors, between 0 and 1. */
  readonly maxError: number;
  /** Probability that it holds, between 0 and 1; default 0.95. */
  readonly confidence?: number;
  /**
   * What is bounded: `added` (default) is the share of all texts that are answered here and wrong, `selective`
   * the share of wrong answers among those given here.
   */
  readonly risk?: Budget['risk'];
  /** How much more frequent any kind of text may be later than among the examples, at least 1; default 1. */
  readonly shift?: number;
}

const DEFAULT_CONFIDENCE = 0.95;
/** File systems take no longer names. */
const MAX_ENCODED_NAME = 240;
const MAX_EXAMPLES = 100_000;

/** Made with `desk.task(name)`. Methods reject with a `FrontdeskError`, or with `signal.reason` when aborted. */
export class Task {
  readonly name: string;
  readonly #client: EngineClient;
  readonly #textOf: (answer: AnswerOrReceipt) => string | undefined;
  readonly #onTaught: (info: TaskInfo) => void;

  /** @internal */
  constructor(client: EngineClient, name: string, { textOf, onTaught }: TaskLinks) {
    this.#client = client;
    this.name = checkTaskName(name);
    this.#textOf = textOf;
    this.#onTaught = onTaught;
  }

  /** What was learnt; `null` where nothing was. */
  async info(): Promise<TaskInfo | null> {
    return this.#client.call('describeTask', { task: this.name });
  }

  /**
   * Learns from all examples anew, in the place of what was learnt before, and keeps the result on the device. Takes at
   * least two labels; the words of a label's name count as one example. The guarantee is gone: `calibrate` again. So
   * is what `correct` has noted and nothing has learnt from yet. `rollback` brings both back.
   */
  async learn(examples: readonly Example[], options: LearnOptions = {}): Promise<TaskInfo> {
    const { balance = 'none', signal, onProgress } = checkOptions(options);
    if (!['none', 'classes'].includes(balance)) throw new InvalidInputError("balance must be 'none' or 'classes'");
    const request = { task: this.name, ...checkExamples(examples), balance: balance === 'classes' };
    return this.#client.call('learnTask', request, { signal, onEvent: onProgress });
  }

  /** How good the answers are on examples that it has not learnt from. */
  async evaluate(examples: readonly Example[], options: JudgeOptions = {}): Promise<Evaluation> {
    const { signal, onProgress } = checkOptions(options);
    return this.#client.call('evaluateTask', { task: this.name, ...checkExamples(examples) }, { signal, onEvent: onProgress });
  }

  /**
   * Finds the lowest threshold whose errors are within the budget, on examples that it has not learnt from and that are
   * like the texts to come; examples most of which it has learnt from are refused. Where `certified` is null in the
   * answer there is no guarantee.
   *
   * Their vectors are kept, so that another budget can be tried without examples (`undefined`), at once, and a
   * version that `improve` promotes is certified anew. The budget in use is the one tried last.
   */
  async calibrate(examples: readonly Example[] | undefined, options: CalibrateOptions): Promise<TaskGuarantee> {
    const { maxError, confidence = DEFAULT_CONFIDENCE, risk = 'added', shift = 1, signal, onProgress } = checkOptions(options);
    const request = { task: this.name, budget: { maxError, confidence, risk, shift } };
    if (examples === undefined) return this.#client.call('recalibrateTask', request, { signal });
    return this.#client.call('calibrateTask', { ...request, ...checkExamples(examples) }, { signal, onEvent: onProgress });
  }

  /**
   * Notes what the right label of a text is, for `improve` to learn from; a label may be new. Takes the text, or the answer
   * to it, or the receipt of its request. Only a vector of the text is kept.
   *
   * Corrections change nothing by themselves, and nothing is promoted on their word alone: they were chosen because the
   * answer was wrong, so every challenger looks better on them.
   */
  async correct(textOrAnswer: string | AnswerOrReceipt, label: string, options: { readonly signal?: AbortSignal } = {}): Promise<TaskInfo> {
    const { signal } = checkOptions(options);
    const text = typeof textOrAnswer === 'string' ? textOrAnswer : this.#textOf(textOrAnswer);
    if (text === undefined) throw new InvalidInputError('what is corrected must be a text, an answer of this desk to one, or the receipt of its request');
    const request = { task: this.name, ...checkExamples([{ text, label }]), teacher: 'person' } as const;
    const info = await this.#client.call('teachTask', request, { signal });
    this.#onTaught(info);
    return info;
  }

  /**
   * Learns a challenger from everything that was learnt before and from what waits: corrections, and answers of the cloud
   * that were kept (`learnFromCloud`). It takes over where it is shown to be better, by McNemar's test at 5%, on texts
   * that neither has learnt from: `fresh` ones, and every second answer of the cloud, taken at its word; and where it is
   * not worse on the examples of `calibrate`. The guarantee is then certified anew. Other calls are answered meanwhile.
   */
  async improve(options: ImproveOptions = {}): Promise<Improvement> {
    const { fresh = [], signal, onProgress } = checkOptions(options);
    const rows = Array.isArray(fresh) && fresh.length === 0 ? { texts: [], labels: [] } : checkExamples(fresh);
    return this.#client.call('improveTask', { task: this.name, ...rows }, { signal, onEvent: onProgress });
  }

  /** Goes back to what was learnt before the last `learn`, `import` or promotion; two versions are kept. */
  async rollback(): Promise<TaskInfo> {
    return this.#client.call('rollbackTask', { task: this.name });
  }

  /** The task as one file, for `import` on another device with the same reflex model. It holds no text. */
  async export(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#client.call('exportTask', { task: this.name });
  }

  /** Takes a file of `export` in the place of what was learnt; a file that does not fit changes nothing. */
  async import(bytes: Uint8Array): Promise<TaskInfo> {
    if (!(bytes instanceof Uint8Array)) throw new InvalidInputError('a task is imported from a Uint8Array');
    return this.#client.call('importTask', { task: this.name, bytes: new Uint8Array(bytes) });
  }

  /** Removes what was learnt from the device. */
  async forget(): Promise<void> {
    await this.#client.call('forgetTask', { task: this.name });
  }
}

/** What a task needs of its desk. */
export interface TaskLinks {
  /** The text that an answer or a receipt is about. */
  readonly textOf: (answer: AnswerOrReceipt) => string | undefined;
  readonly onTaught: (info: TaskInfo) => void;
}

export function checkTaskName(name: string): string {
  // Half a surrogate pair cannot be encoded.
  const isName = typeof name === 'string' && name.trim() !== '' && !/\p{Surrogate}/u.test(name);
  if (!isName || encodeURIComponent(name).length > MAX_ENCODED_NAME) {
    throw new InvalidInputError(`a task's name must be text, not only spaces and URL-encoded at most ${MAX_ENCODED_NAME} characters`);
  }
  return name;
}

function checkExamples(examples: readonly Example[]): { readonly texts: string[]; readonly labels: string[] } {
  if (!Array.isArray(examples) || examples.length === 0 || examples.length > MAX_EXAMPLES) {
    throw new InvalidInputError(`examples must be an array of 1 to ${MAX_EXAMPLES}`);
  }
  const checked = { texts: [] as string[], labels: [] as string[] };
  for (const [index, example] of (examples as readonly unknown[]).entries()) {
    const { text, label } = (example ?? {}) as { text?: unknown; label?: unknown };
    if (typeof text !== 'string') throw new InvalidInputError(`the text of example ${index} must be a string`);
    if (typeof label !== 'string' || label.trim() === '' || label.length > MAX_LABEL_LENGTH) {
      throw new InvalidInputError(`the label of example ${index} must be 1 to ${MAX_LABEL_LENGTH} characters, not only spaces`);
    }
    checked.texts.push(text);
    checked.labels.push(label);
  }
  return checked;
}
