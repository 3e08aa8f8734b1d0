/** Answers of the desk in the AI SDK's shapes. */
import type {
  JSONObject,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4Warning,
} from '@ai-sdk/provider';
import type { ChatCompletion, ChatCompletionChunk, CompletionUsage, Frontdesk } from '../index.js';
import { UnsupportedFunctionalityError } from './ai_sdk_errors.js';
import type { ModelCall } from './ai_sdk_prompt.js';
import { decideBySchema, refusalOf } from './decided.js';

/** The one text of an answer. */
const TEXT_ID = '0';

const FINISH_REASONS: Readonly<Record<string, LanguageModelV4FinishReason['unified']>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
};

/** A whole answer. */
export function toResult({ id, created, model, choices, usage, frontdesk }: ChatCompletion, warnings: SharedV4Warning[]): LanguageModelV4GenerateResult {
  const [{ message, finish_reason }] = choices;
  return {
    content: [{ type: 'text', text: message.content }],
    finishReason: toFinishReason(finish_reason),
    usage: toUsage(usage),
    providerMetadata: { frontdesk: plain(frontdesk) },
    response: { id, modelId: model, timestamp: new Date(created * 1000) },
    warnings,
  };
}

/**
 * The parts of a streamed answer; who gave it is known, and said, at its end. A failure is a part too, as the AI SDK wants
 * it, and only an abort breaks the stream.
 */
export async function* streamParts(
  chunks: AsyncIterable<ChatCompletionChunk>,
  { warnings, signal }: { readonly warnings: SharedV4Warning[]; readonly signal: AbortSignal | undefined },
): AsyncGenerator<LanguageModelV4StreamPart, void> {
  yield { type: 'stream-start', warnings };
  yield { type: 'text-start', id: TEXT_ID };
  try {
    yield* answerParts(chunks);
  } catch (error) {
    signal?.throwIfAborted();
    yield { type: 'error', error };
    yield { type: 'text-end', id: TEXT_ID };
    yield { type: 'finish', finishReason: { unified: 'error', raw: undefined }, usage: toUsage(null) };
  }
}

async function* answerParts(chunks: AsyncIterable<ChatCompletionChunk>): AsyncGenerator<LanguageModelV4StreamPart, void> {
  for await (const { id, created, model, choices, usage, frontdesk } of chunks) {
    const [{ delta, finish_reason }] = choices;
    if (delta.content) yield { type: 'text-delta', id: TEXT_ID, delta: delta.content };
    if (finish_reason === null) continue;
    yield { type: 'text-end', id: TEXT_ID };
    yield { type: 'response-metadata', id, modelId: model, timestamp: new Date(created * 1000) };
    yield {
      type: 'finish',
      finishReason: toFinishReason(finish_reason),
      usage: toUsage(usage),
      ...(frontdesk && { providerMetadata: { frontdesk: plain(frontdesk) } }),
    };
  }
}

/** JSON of a small schema. A schema that cannot be decided is `UnsupportedFunctionalityError`. */
export async function decidedResult(desk: Frontdesk, { request, schema, options, warnings }: ModelCall): Promise<LanguageModelV4GenerateResult> {
  const refusal = (cause: unknown) => new UnsupportedFunctionalityError('responseFormat', { message: refusalOf(cause), cause });
  const decided = await decideBySchema(desk, { schema, messages: request.messages, refusal }, options);
  const { text, model, usage, frontdesk } = decided;
  return {
    content: [{ type: 'text', text }],
    finishReason: { unified: 'stop', raw: undefined },
    usage: toUsage({ prompt_tokens: usage.input_tokens, completion_tokens: usage.output_tokens }),
    providerMetadata: { frontdesk: plain(frontdesk) },
    response: { modelId: model },
    warnings,
  };
}

/** The same as a stream, whose text comes in one piece. */
export function decidedStream({ content, finishReason, usage, providerMetadata, warnings }: LanguageModelV4GenerateResult): ReadableStream<LanguageModelV4StreamPart> {
  const texts = content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return new ReadableStream({
    start(controller) {
      controller.enqueue({ type: 'stream-start', warnings });
      controller.enqueue({ type: 'text-start', id: TEXT_ID });
      for (const delta of texts) controller.enqueue({ type: 'text-delta', id: TEXT_ID, delta });
      controller.enqueue({ type: 'text-end', id: TEXT_ID });
      controller.enqueue({ type: 'finish', finishReason, usage, ...(providerMetadata && { providerMetadata }) });
      controller.close();
    },
  });
}

/** A copy that is JSON and nothing else. */
export function plain(value: object): JSONObject {
  return JSON.parse(JSON.stringify(value)) as JSONObject;
}

function toFinishReason(raw: string): LanguageModelV4FinishReason {
  return { unified: FINISH_REASONS[raw] ?? 'other', raw };
}

function toUsage(usage: Omit<CompletionUsage, 'total_tokens'> | null | undefined): LanguageModelV4Usage {
  const { prompt_tokens: total, completion_tokens: written, prompt_tokens_details } = usage ?? {};
  const cached = prompt_tokens_details?.cached_tokens;
  return {
    inputTokens: { total, noCache: total === undefined ? undefined : total - (cached ?? 0), cacheRead: cached, cacheWrite: undefined },
    outputTokens: { total: written, text: written, reasoning: undefined },
  };
}
