/** What callers of the Prompt API pass in, checked, in the desk's words. */
import type { ChatCompletionRequest, ChatMessage } from '../index.js';
import { notSupported } from './prompt_api_errors.js';

/** A part of a message, with the types of the standard; others than text are refused. */
export interface PromptPart {
  readonly type: 'text' | 'image' | 'audio';
  readonly value: unknown;
}

/** One message of a conversation; a system prompt only comes first. */
export interface PromptMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly PromptPart[];
  /** Continuing an answer is not supported: `true` is refused. */
  readonly prefix?: boolean;
}

/** A text is a message of the user. */
export type PromptInput = string | readonly PromptMessage[];

/** What a session reads or writes; `text` only, in whatever language. */
export interface ExpectedContent {
  readonly type: 'text' | 'image' | 'audio';
  readonly languages?: readonly string[];
}

const TEMPERATURES = { 'most-predictable': 0, predictable: 0.3, balanced: 0.7, creative: 1, 'most-creative': 1.3 } as const;

/** How surprising answers may be; the likeliest token is taken where nothing is said. */
export interface SamplingOptions {
  readonly samplingMode?: keyof typeof TEMPERATURES;
  /** 0 to 2. */
  readonly temperature?: number;
  /** 1 or more. */
  readonly topK?: number;
}

/** What decides whether a session can be had at all. */
export interface CoreOptions extends SamplingOptions {
  readonly expectedInputs?: readonly ExpectedContent[];
  readonly expectedOutputs?: readonly ExpectedContent[];
  /** Refused, unless there are none. */
  readonly tools?: readonly object[];
}

/** What is asked for beyond texts, for people; `undefined` where nothing is. */
export function obstacleOf({ expectedInputs = [], expectedOutputs = [], tools = [] }: CoreOptions): string | undefined {
  if (tools.length > 0) return 'tools are not supported';
  const other = [...expectedInputs, ...expectedOutputs].find(({ type }) => type !== 'text');
  return other && `${other.type} is not supported`;
}

/** Throws `TypeError` and `RangeError`, as the browser does. */
export function toSampling({ samplingMode, temperature, topK }: SamplingOptions): Pick<ChatCompletionRequest, 'temperature' | 'top_k'> {
  if (samplingMode !== undefined) {
    if (temperature !== undefined || topK !== undefined) throw new TypeError('samplingMode excludes temperature and topK');
    if (!Object.hasOwn(TEMPERATURES, samplingMode)) throw new TypeError(`samplingMode must be one of ${Object.keys(TEMPERATURES).join(', ')}`);
    return { temperature: TEMPERATURES[samplingMode] };
  }
  if (temperature !== undefined && !(temperature >= 0 && temperature <= 2)) throw new RangeError('temperature must be 0 to 2');
  if (topK !== undefined && !(topK >= 1)) throw new RangeError('topK must be 1 or more');
  return { ...(temperature !== undefined && { temperature }), ...(topK !== undefined && { top_k: Math.floor(topK) }) };
}

/** A conversation to begin with. */
export function toHistory(prompts: readonly PromptMessage[]): ChatMessage[] {
  return prompts.map((message, index) => {
    if (message.role === 'system' && index > 0) throw new TypeError('a system prompt must come first');
    return toMessage(message);
  });
}

/** What is said next. */
export function toMessages(input: PromptInput): ChatMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  return input.map((message) => {
    if (message.role === 'system') throw new TypeError('a system prompt belongs into initialPrompts');
    return toMessage(message);
  });
}

function toMessage({ role, content, prefix }: PromptMessage): ChatMessage {
  if (!['system', 'user', 'assistant'].includes(role)) throw new TypeError("a message's role must be system, user or assistant");
  if (prefix === true) throw notSupported('an answer cannot be continued from a prefix');
  return { role, content: typeof content === 'string' ? content : content.map(textOf).join('\n') };
}

function textOf({ type, value }: PromptPart): string {
  if (type !== 'text') throw notSupported(`${type} is not supported`);
  if (typeof value !== 'string') throw new TypeError('the value of a text must be a string');
  return value;
}
