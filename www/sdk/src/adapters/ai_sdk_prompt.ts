/** What the AI SDK asks for, in the desk's words. */
import type { LanguageModelV4CallOptions, LanguageModelV4Prompt, SharedV4ProviderOptions, SharedV4Warning } from '@ai-sdk/provider';
import type { CallOptions, ChatCompletionRequest, ChatMessage } from '../index.js';
import { InvalidInputError } from '../errors.js';
import { UnsupportedFunctionalityError } from './ai_sdk_errors.js';

/** A call of the AI SDK; where there is a schema, sampling says nothing. */
export interface ModelCall {
  readonly request: Omit<ChatCompletionRequest, 'stream'>;
  readonly schema: unknown;
  readonly options: CallOptions;
  readonly warnings: SharedV4Warning[];
}

/** What `providerOptions.frontdesk` may have; checked by the desk. */
const CALL_OPTIONS = ['mode', 'threshold'];
const SAMPLING = ['maxOutputTokens', 'temperature', 'topP', 'topK', 'seed', 'stopSequences'] as const;
const NOT_SUPPORTED = ['presencePenalty', 'frequencyPenalty'] as const;

/**
 * Throws for what changes the kind of answer (tools, files, JSON without a schema) and, as providers of the AI SDK do,
 * warns of settings that the model does not have.
 */
export function toModelCall(given: LanguageModelV4CallOptions): ModelCall {
  const { prompt, tools, responseFormat, maxOutputTokens, temperature, topP, topK, seed, stopSequences } = given;
  if (tools && tools.length > 0) throw new UnsupportedFunctionalityError('tools');
  const isJson = responseFormat?.type === 'json';
  if (isJson && !responseFormat.schema) throw new UnsupportedFunctionalityError('JSON without a schema');
  const request = {
    messages: prompt.map(toMessage),
    ...(maxOutputTokens !== undefined && { max_tokens: maxOutputTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && { top_k: topK }),
    ...(seed !== undefined && { seed }),
    ...(stopSequences !== undefined && { stop: stopSequences }),
  };
  return { request, schema: isJson ? responseFormat.schema : undefined, options: toCallOptions(given), warnings: warningsOf(given, isJson) };
}

/** The options of one call, which go before the desk's own. */
export function toCallOptions({ providerOptions, abortSignal }: { providerOptions?: SharedV4ProviderOptions; abortSignal?: AbortSignal }): CallOptions {
  const own = providerOptions?.frontdesk ?? {};
  const unknown = Object.keys(own).find((name) => !CALL_OPTIONS.includes(name));
  if (unknown !== undefined) throw new InvalidInputError(`providerOptions.frontdesk has a field ${unknown}, which is not supported`);
  return { ...(own as CallOptions), ...(abortSignal && { signal: abortSignal }) };
}

function warningsOf(given: LanguageModelV4CallOptions, isJson: boolean): SharedV4Warning[] {
  const absent = NOT_SUPPORTED.filter((name) => (given[name] ?? 0) !== 0);
  const decided = isJson ? SAMPLING.filter((name) => given[name] !== undefined) : [];
  const thinks = !['provider-default', 'none'].includes(given.reasoning ?? 'none');
  return [
    ...[...absent, ...(thinks ? ['reasoning'] : [])].map((feature) => ({ type: 'unsupported', feature }) as const),
    ...decided.map((feature) => ({ type: 'unsupported', feature, details: 'values of a schema are decided, not sampled' }) as const),
  ];
}

function toMessage(message: LanguageModelV4Prompt[number]): ChatMessage {
  const { role } = message;
  if (role === 'system') return { role, content: message.content };
  if (role === 'tool') throw new UnsupportedFunctionalityError('tool results');
  const texts = message.content.map((part) => {
    if (part.type !== 'text') throw new UnsupportedFunctionalityError(`${part.type} parts of messages`);
    return part.text;
  });
  return { role, content: texts.join('\n') };
}
