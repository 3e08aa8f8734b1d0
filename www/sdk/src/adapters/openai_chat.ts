/** What OpenAI's client sends as a chat completion, in the desk's words. */
import type { ChatCompletionRequest } from '../index.js';
import { InvalidInputError } from '../errors.js';

export interface ChatCall {
  /** Checked by the desk, which refuses each field that it does not know. */
  readonly request: Omit<ChatCompletionRequest, 'stream'>;
  readonly isStreamed: boolean;
  /** Whether a stream ends with a chunk of its own for the usage. */
  readonly includesUsage: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** Fields that say nothing of the answer wanted. */
export const IGNORED = ['model', 'user', 'safety_identifier'];
/** Fields that are harmless with this value only, which is OpenAI's default. */
const DEFAULTS: Fields = { n: 1, presence_penalty: 0, frequency_penalty: 0, store: false };

/** Throws `InvalidInputError` for what would have to be ignored. */
export function toChatCall(body: unknown): ChatCall {
  const { stream = false, stream_options, max_completion_tokens, messages, ...others } = fieldsOf(body, 'the body');
  if (typeof stream !== 'boolean') throw new InvalidInputError('stream must be true or false');
  if (max_completion_tokens !== undefined && others.max_tokens !== undefined) {
    throw new InvalidInputError('max_tokens and max_completion_tokens are the same; give one');
  }
  if (!Array.isArray(messages)) throw new InvalidInputError('messages must be an array');
  const kept = Object.entries(without(others, IGNORED)).filter(([name, value]) => !isDefault(name, value));
  return {
    request: {
      ...(Object.fromEntries(kept) as Omit<ChatCompletionRequest, 'messages' | 'stream'>),
      ...(max_completion_tokens !== undefined && { max_tokens: max_completion_tokens as number }),
      messages: messages.map(toMessage),
    },
    isStreamed: stream,
    includesUsage: toUsageWish(stream_options, stream),
  };
}

function isDefault(name: string, value: unknown): boolean {
  if (name === 'response_format') return typeof value === 'object' && value !== null && 'type' in value && value.type === 'text';
  return Object.hasOwn(DEFAULTS, name) && DEFAULTS[name] === value;
}

function toUsageWish(given: unknown, isStreamed: boolean): boolean {
  if (given === undefined) return false;
  if (!isStreamed) throw new InvalidInputError('stream_options needs stream: true');
  const { include_usage = false, ...others } = fieldsOf(given, 'stream_options');
  refuseAny(others, 'stream_options');
  if (typeof include_usage !== 'boolean') throw new InvalidInputError('include_usage must be true or false');
  return include_usage;
}

/** The desk checks what becomes of role and content. */
function toMessage(given: unknown): ChatCompletionRequest['messages'][number] {
  const { role, content, ...others } = fieldsOf(given, 'a message');
  refuseAny(others, 'a message');
  return {
    role: (role === 'developer' ? 'system' : role) as 'user',
    content: (Array.isArray(content) ? content.map(textOf).join('\n') : content) as string,
  };
}

function textOf(part: unknown): string {
  const { type, text, ...others } = fieldsOf(part, 'a part of a message');
  if (type !== 'text' || typeof text !== 'string') throw new InvalidInputError('a part of a message must be text');
  refuseAny(others, 'a part of a message');
  return text;
}

/** The fields that have a value; null is how OpenAI says that there is none. */
export function fieldsOf(given: unknown, what: string): Fields {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new InvalidInputError(`${what} must be an object`);
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
}

export function without(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

/** Refuses what is left of an object after all known fields. */
export function refuseAny(others: Fields, what: string): void {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new InvalidInputError(`the field ${unknown} of ${what} is not supported`);
}
