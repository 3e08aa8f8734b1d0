/** Checks of what callers pass in: anything senseless is `invalid_input`, before anything runs. */
import { InvalidInputError } from './errors.js';
import type { Backend, ChatMessage, ChatRequest, Keeping, Label, Mode, ModuleVariant } from './protocol.js';

const MODES: readonly Mode[] = ['only_on_device', 'prefer_on_device', 'cascade', 'prefer_in_cloud', 'only_in_cloud'];
const MODULE_VARIANTS: readonly ModuleVariant[] = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'];
const KEEPINGS: readonly Keeping[] = ['if_possible', 'required', 'never'];
const BACKENDS: readonly (Backend | 'auto')[] = ['wasm', 'webgpu', 'auto'];
const MAX_LABELS = 256;
/** Characters of a label's name. */
export const MAX_LABEL_LENGTH = 200;
const MAX_DESCRIPTION_LENGTH = 1000;
const MAX_SUBJECT_LENGTH = 100;
const MAX_STOPS = 16;
const MAX_TOP_LOGPROBS = 20;
const DEFAULT_MAX_TOKENS = 256;

/** OpenAI's field names; fields that are not listed here are refused, not ignored. */
export interface ChatCompletionRequest {
  readonly messages: readonly ChatMessage[];
  /** At most this many tokens are generated; default 256. */
  readonly max_tokens?: number;
  /** 0 to 2; the default 0 always takes the likeliest token. */
  readonly temperature?: number;
  /** Above 0, up to 1. */
  readonly top_p?: number;
  /** The device only; OpenAI has no such field. */
  readonly top_k?: number;
  /** 0 to 1; the device only. */
  readonly min_p?: number;
  /** Above 0, 1 changes nothing; the device only. */
  readonly repetition_penalty?: number;
  readonly seed?: number;
  /** Generation ends before any of these; they are not part of the text. */
  readonly stop?: string | readonly string[] | null;
  /** Reports each token's natural log-probability. */
  readonly logprobs?: boolean;
  /** How many alternatives to report at each token, 0 to 20; needs `logprobs`. */
  readonly top_logprobs?: number;
  readonly stream?: boolean;
}

const CHAT_FIELDS: Readonly<Record<keyof ChatCompletionRequest, true>> = {
  messages: true,
  max_tokens: true,
  temperature: true,
  top_p: true,
  top_k: true,
  min_p: true,
  repetition_penalty: true,
  seed: true,
  stop: true,
  logprobs: true,
  top_logprobs: true,
  stream: true,
};

/** Makes sure that something is an object, and no list. */
export function checkObject(given: unknown, what: string): asserts given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new InvalidInputError(`${what} must be an object`);
}

/** Options of a call, and the signal among them. */
export function checkOptions<Options extends object>(options: Options): Options {
  checkObject(options, 'options');
  const { signal } = options as { readonly signal?: Partial<AbortSignal> | null };
  if (signal !== undefined && signal !== null && typeof signal.throwIfAborted !== 'function') throw new InvalidInputError('signal must be an AbortSignal');
  return options;
}

export function checkMode(mode: Mode): Mode {
  if (!MODES.includes(mode)) throw new InvalidInputError(`mode must be one of ${MODES.join(', ')}`);
  return mode;
}

export function checkThreshold(threshold: number): number {
  return numberWithin(threshold, { name: 'threshold', min: 0, max: 1 });
}

export function checkThreads(threads: number): number {
  return numberWithin(threads, { name: 'threads', min: 1, max: 64, integer: true });
}

export function checkModuleVariant(variant: ModuleVariant): ModuleVariant {
  if (!MODULE_VARIANTS.includes(variant)) throw new InvalidInputError(`moduleVariant must be one of ${MODULE_VARIANTS.join(', ')}`);
  return variant;
}

export function checkBackend(backend: Backend | 'auto'): Backend | 'auto' {
  if (!BACKENDS.includes(backend)) throw new InvalidInputError(`backend must be one of ${BACKENDS.join(', ')}`);
  return backend;
}

export function checkKeeping(keep: Keeping): Keeping {
  if (!KEEPINGS.includes(keep)) throw new InvalidInputError(`keep must be one of ${KEEPINGS.join(', ')}`);
  return keep;
}

export function checkText(text: string): string {
  if (typeof text !== 'string') throw new InvalidInputError('text must be a string');
  return text;
}

export function checkSubject(subject: string): string {
  if (typeof subject !== 'string' || subject.trim() === '' || subject.length > MAX_SUBJECT_LENGTH) {
    throw new InvalidInputError(`subject must be a few words, at most ${MAX_SUBJECT_LENGTH} characters`);
  }
  return subject;
}

/** 2 to 256 labels, unique and not empty, given as names or as names with descriptions. */
export function checkLabels(labels: readonly (string | Label)[]): Label[] {
  if (!Array.isArray(labels) || labels.length < 2 || labels.length > MAX_LABELS) {
    throw new InvalidInputError(`labels must be an array of 2 to ${MAX_LABELS}`);
  }
  const checked = (labels as readonly unknown[]).map(checkLabel);
  const names = new Set(checked.map(({ name }) => name));
  if (names.size !== checked.length) throw new InvalidInputError('labels must differ from each other');
  return checked;
}

export function checkContextTokens(contextTokens: number): number {
  return numberWithin(contextTokens, { name: 'contextTokens', min: 64, max: 131_072, integer: true });
}

/** Everything of a chat request but the policy. */
export function checkChatRequest(request: ChatCompletionRequest): Omit<ChatRequest, 'policy'> {
  checkObject(request, 'the request');
  const unknown = Object.keys(request).find((name) => !Object.hasOwn(CHAT_FIELDS, name));
  if (unknown !== undefined) throw new InvalidInputError(`the field ${unknown} is not supported`);
  const { messages, max_tokens, temperature, top_p, top_k, min_p, repetition_penalty, seed, stop } = request;
  const topLogprobs = checkTopLogprobs(request);
  const maxTokens = numberWithin(max_tokens ?? DEFAULT_MAX_TOKENS, { name: 'max_tokens', min: 1, max: 131_072, integer: true });
  return {
    messages: checkMessages(messages),
    maxTokens,
    temperature: numberWithin(temperature ?? 0, { name: 'temperature', min: 0, max: 2 }),
    ...(top_p !== undefined && { topP: numberWithin(top_p, { name: 'top_p', min: Number.MIN_VALUE, max: 1 }) }),
    ...(top_k !== undefined && { topK: numberWithin(top_k, { name: 'top_k', min: 1, max: 1_000_000, integer: true }) }),
    ...(min_p !== undefined && { minP: numberWithin(min_p, { name: 'min_p', min: 0, max: 1 }) }),
    ...(repetition_penalty !== undefined && {
      repetitionPenalty: numberWithin(repetition_penalty, { name: 'repetition_penalty', min: Number.MIN_VALUE, max: 10 }),
    }),
    ...(seed !== undefined && { seed: numberWithin(seed, { name: 'seed', min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }) }),
    stop: checkStop(stop),
    ...(topLogprobs !== undefined && { topLogprobs }),
  };
}

/** A name, or a name with a description. */
export function checkLabel(label: unknown): Label {
  const { name, description } = (typeof label === 'string' ? { name: label } : (label ?? {})) as { name?: unknown; description?: unknown };
  if (typeof name !== 'string' || name.trim() === '' || name.length > MAX_LABEL_LENGTH) {
    throw new InvalidInputError(`a label must be 1 to ${MAX_LABEL_LENGTH} characters, not only spaces`);
  }
  if (description === undefined) return { name };
  if (typeof description !== 'string' || description.length > MAX_DESCRIPTION_LENGTH) {
    throw new InvalidInputError(`a label's description must be at most ${MAX_DESCRIPTION_LENGTH} characters`);
  }
  return { name, description };
}

function checkMessages(messages: readonly ChatMessage[]): ChatMessage[] {
  if (!Array.isArray(messages) || messages.length === 0) throw new InvalidInputError('messages must be an array of at least one');
  return (messages as readonly unknown[]).map((message) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    if (role !== 'system' && role !== 'user' && role !== 'assistant') {
      throw new InvalidInputError("a message's role must be system, user or assistant");
    }
    if (typeof content !== 'string') throw new InvalidInputError("a message's content must be a string");
    return { role, content };
  });
}

function checkStop(stop: ChatCompletionRequest['stop']): string[] {
  const stops: readonly unknown[] = typeof stop === 'string' ? [stop] : (stop ?? []);
  if (!Array.isArray(stops) || stops.length > MAX_STOPS || !stops.every((text) => typeof text === 'string' && text !== '')) {
    throw new InvalidInputError(`stop must be at most ${MAX_STOPS} strings that are not empty`);
  }
  return stops as string[];
}

function checkTopLogprobs({ logprobs, top_logprobs }: ChatCompletionRequest): number | undefined {
  if (logprobs !== undefined && typeof logprobs !== 'boolean') throw new InvalidInputError('logprobs must be true or false');
  if (top_logprobs !== undefined && logprobs !== true) throw new InvalidInputError('top_logprobs needs logprobs: true');
  if (logprobs !== true) return undefined;
  return numberWithin(top_logprobs ?? 0, { name: 'top_logprobs', min: 0, max: MAX_TOP_LOGPROBS, integer: true });
}

function numberWithin(value: number, { name, min, max, integer = false }: { name: string; min: number; max: number; integer?: boolean }): number {
  const inside = typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
  if (!inside) {
    const lowest = min === Number.MIN_VALUE ? 'above 0' : `at least ${min}`;
    throw new InvalidInputError(`${name} must be a ${integer ? 'whole ' : ''}number, ${lowest} and at most ${max}`);
  }
  return value;
}
