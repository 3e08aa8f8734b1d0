/** Reads OpenAI-shaped answers with narrow checks: what is not as documented is an error. */
import { createParser } from 'eventsource-parser';
import { UpstreamMalformedError } from '../errors.js';
import type { Label, TokenLogprob } from '../protocol.js';
import type { CloudCompletion, CloudDelta, CloudUsage } from './provider.js';

/** Reads the body of a `chat.completion`. */
export function parseCompletion(body: string): CloudCompletion {
  const json = parseJson(body);
  const choice = firstChoice(json);
  const text = field(field(choice, 'message'), 'content');
  const finishReason = field(choice, 'finish_reason');
  if (typeof text !== 'string') throw malformed('choices[0].message.content is not a string');
  if (typeof finishReason !== 'string') throw malformed('choices[0].finish_reason is not a string');
  return { text, finishReason, logprobs: parseLogprobs(choice), usage: parseUsage(json), model: modelName(json) };
}

/** Gathers a stream of `chat.completion.chunk` events; a stream that stops before its end is an error. */
export class CompletionStream {
  readonly #onDelta: (delta: CloudDelta) => void;
  readonly #logprobs: TokenLogprob[] = [];
  readonly #parser = createParser({
    onEvent: (event) => {
      this.#onData(event.data);
    },
  });
  #text = '';
  #finishReason: string | undefined;
  #usage: CloudUsage | null = null;
  #model = '';
  #done = false;

  constructor(onDelta: (delta: CloudDelta) => void) {
    this.#onDelta = onDelta;
  }

  /** True once `[DONE]` was read; what follows is of no interest. */
  get done(): boolean {
    return this.#done;
  }

  /** Takes the next piece of the body, split anywhere. */
  feed(piece: string): void {
    this.#parser.feed(piece);
  }

  /** The whole answer; throws where neither a finish reason nor `[DONE]` was seen. */
  finish(): CloudCompletion {
    if (!this.#done && this.#finishReason === undefined) throw malformed('the stream was cut off before its end');
    return {
      text: this.#text,
      finishReason: this.#finishReason ?? 'stop',
      logprobs: this.#logprobs,
      usage: this.#usage,
      model: this.#model,
    };
  }

  #onData(data: string): void {
    if (this.#done) return;
    if (data === '[DONE]') {
      this.#done = true;
      return;
    }
    const json = parseJson(data);
    if (field(json, 'error') !== undefined) throw malformed('the stream carries an error');
    this.#usage = parseUsage(json) ?? this.#usage;
    this.#model ||= modelName(json);
    const choices = field(json, 'choices');
    // The last event of a stream may carry only the usage.
    if (Array.isArray(choices) && choices.length === 0) return;
    const choice = firstChoice(json);
    const text = field(field(choice, 'delta'), 'content') ?? '';
    if (typeof text !== 'string') throw malformed('choices[0].delta.content is not a string');
    const finishReason = field(choice, 'finish_reason');
    if (typeof finishReason === 'string') this.#finishReason = finishReason;
    const logprobs = parseLogprobs(choice);
    this.#text += text;
    this.#logprobs.push(...logprobs);
    if (text !== '') this.#onDelta({ text, logprobs });
  }
}

/** The label that the answer names: exactly, or else but for upper and lower case. */
export function matchLabel(answer: string, labels: readonly Label[]): string {
  const wanted = answer.trim();
  const exact = labels.find((label) => label.name === wanted);
  if (exact) return exact.name;
  const [only, ...others] = labels.filter((label) => label.name.toLowerCase() === wanted.toLowerCase());
  if (!only || others.length > 0) throw malformed('answer is not one of the labels');
  return only.name;
}

function malformed(what: string, cause?: unknown): UpstreamMalformedError {
  return new UpstreamMalformedError(`the backend's answer cannot be used: ${what}`, cause === undefined ? {} : { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw malformed('not JSON', error);
  }
}

/** A property of whatever this is; `undefined` where there is none. */
function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function firstChoice(json: unknown): unknown {
  const choices = field(json, 'choices');
  if (!Array.isArray(choices) || choices.length === 0) throw malformed('no choices');
  return choices[0] as unknown;
}

function modelName(json: unknown): string {
  const model = field(json, 'model');
  return typeof model === 'string' ? model : '';
}

function parseUsage(json: unknown): CloudUsage | null {
  const usage = field(json, 'usage');
  const inputTokens = field(usage, 'prompt_tokens');
  const outputTokens = field(usage, 'completion_tokens');
  return isCount(inputTokens) && isCount(outputTokens) ? { inputTokens, outputTokens } : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Log-probabilities are a bonus: an entry that is not as documented is left out. */
function parseLogprobs(choice: unknown): TokenLogprob[] {
  const content = field(field(choice, 'logprobs'), 'content');
  if (!Array.isArray(content)) return [];
  return content.flatMap((entry: unknown) => {
    const token = parseToken(entry);
    if (!token) return [];
    const alternatives = field(entry, 'top_logprobs');
    const top = Array.isArray(alternatives) ? alternatives.flatMap((other: unknown) => parseToken(other) ?? []) : [];
    return [{ ...token, top_logprobs: top }];
  });
}

function parseToken(entry: unknown): Omit<TokenLogprob, 'top_logprobs'> | undefined {
  const token = field(entry, 'token');
  const logprob = field(entry, 'logprob');
  const bytes = field(entry, 'bytes');
  if (typeof token !== 'string' || typeof logprob !== 'number') return undefined;
  const given = Array.isArray(bytes) ? bytes.filter(isCount) : undefined;
  return { token, logprob, bytes: given ?? [...new TextEncoder().encode(token)] };
}
