/** A task of a desk: learnt from examples, judged, certified, and kept on the device. */
import type { EngineClient } from './client.js';
import { InvalidInputError } from './errors.js';
import type { Budget, Evaluation, LearnProgress, PrefillProgress, TaskGuarantee, TaskInfo } from './protocol.js';

/** A text and the label it should get. */
export interface Example {
  readonly text: string;
  readonly label: string;
}

export interface LearnOptions {
  /** The call rejects with `signal.reason`, at once; the task stays as it was. */
  readonly signal?: AbortSignal;
  /** Texts read and in all, then the share of the learning that is done. */
  readonly onProgress?: (progress: PrefillProgress | LearnProgress) => void;
}

export interface JudgeOptions {
  /** The call rejects with `signal.reason`, at once. */
  readonly signal?: AbortSignal;
  /** Texts read and in all. */
  readonly onProgress?: (progress: PrefillProgress) => void;
}

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
const MAX_LABEL_LENGTH = 200;
const MAX_EXAMPLES = 100_000;

/** Made with `desk.task(name)`. Methods reject with a `FrontdeskError`, or with `signal.reason` when aborted. */
export class Task {
  readonly name: string;
  readonly #client: EngineClient;

  constructor(client: EngineClient, name: string) {
    this.#client = client;
    this.name = checkTaskName(name);
  }

  /** What was learnt; `null` where nothing was. */
  async info(): Promise<TaskInfo | null> {
    return this.#client.call('describeTask', { task: this.name });
  }

  /**
   * Learns from all examples anew, in the place of what was learnt before, and keeps the result on the device. Takes at
   * least two labels; the words of a label's name count as one example. The guarantee is gone: `calibrate` again.
   */
  async learn(examples: readonly Example[], { signal, onProgress }: LearnOptions = {}): Promise<TaskInfo> {
    return this.#client.call('learnTask', { task: this.name, ...checkExamples(examples) }, { signal, onEvent: onProgress });
  }

  /** How good the answers are on examples that it has not learnt from. */
  async evaluate(examples: readonly Example[], { signal, onProgress }: JudgeOptions = {}): Promise<Evaluation> {
    return this.#client.call('evaluateTask', { task: this.name, ...checkExamples(examples) }, { signal, onEvent: onProgress });
  }

  /**
   * Finds the lowest threshold whose errors are within the budget, on examples that it has not learnt from and that are
   * like the texts to come. Where `certified` is null in the answer there is no guarantee.
   */
  async calibrate(
    examples: readonly Example[],
    { maxError, confidence = DEFAULT_CONFIDENCE, risk = 'added', shift = 1, signal, onProgress }: CalibrateOptions,
  ): Promise<TaskGuarantee> {
    const request = { task: this.name, ...checkExamples(examples), budget: { maxError, confidence, risk, shift } };
    return this.#client.call('calibrateTask', request, { signal, onEvent: onProgress });
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
