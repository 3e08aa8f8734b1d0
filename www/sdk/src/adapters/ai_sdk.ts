/** A provider for the AI SDK: a desk as its language model and its embedding model. */
import type { EmbeddingModelV4, LanguageModelV4, ProviderV4 } from '@ai-sdk/provider';
import type { Frontdesk } from '../index.js';
import { NoSuchModelError, UnsupportedFunctionalityError } from './ai_sdk_errors.js';
import { toCallOptions, toModelCall } from './ai_sdk_prompt.js';
import { decidedResult, decidedStream, plain, streamParts, toResult } from './ai_sdk_results.js';
import { openStream } from './streams.js';

export { NoSuchModelError, UnsupportedFunctionalityError };

const PROVIDER = 'frontdesk';

/** Calling it is `languageModel()`. Names of models are labels for logs: a desk has the models it was made with. */
export interface FrontdeskProvider extends ProviderV4 {
  (modelId?: string): LanguageModelV4;
  languageModel(modelId?: string): LanguageModelV4;
  /** Needs a desk with a reflex model when it is used. */
  embeddingModel(modelId?: string): EmbeddingModelV4;
}

/**
 * The desk as a provider of the AI SDK: `generateText({ model: frontdeskProvider(desk)(), prompt })`. Where an answer
 * came from is in `providerMetadata.frontdesk`; `providerOptions: { frontdesk: { mode, threshold } }` goes before the desk's own.
 * Errors are this package's; what cannot be had is an `UnsupportedFunctionalityError` of the AI SDK as well.
 */
export function frontdeskProvider(desk: Frontdesk): FrontdeskProvider {
  const languageModel = (modelId: string = desk.info?.id ?? 'cloud') => makeLanguageModel(desk, modelId);
  const embeddingModel = (modelId: string = desk.info?.reflex?.id ?? 'reflex') => makeEmbeddingModel(desk, modelId);
  const imageModel = (modelId: string) => {
    throw new NoSuchModelError(modelId, 'imageModel');
  };
  const models = { specificationVersion: 'v4', languageModel, embeddingModel, imageModel } as const;
  return Object.assign((modelId?: string) => languageModel(modelId), models);
}

function makeLanguageModel(desk: Frontdesk, modelId: string): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: PROVIDER,
    modelId,
    supportedUrls: {},
    async doGenerate(given) {
      const call = toModelCall(given);
      if (call.schema !== undefined) return decidedResult(desk, call);
      return toResult(await desk.chat.completions.create({ ...call.request, stream: false }, call.options), call.warnings);
    },
    async doStream(given) {
      const call = toModelCall(given);
      if (call.schema !== undefined) return { stream: decidedStream(await decidedResult(desk, call)) };
      const { signal, ...options } = call.options;
      const stream = await openStream({
        start: (signal) => desk.chat.completions.create({ ...call.request, stream: true }, { ...options, signal }),
        parts: (chunks) => streamParts(chunks, { warnings: call.warnings, signal }),
      }, signal);
      return { stream };
    },
  };
}

function makeEmbeddingModel(desk: Frontdesk, modelId: string): EmbeddingModelV4 {
  return {
    specificationVersion: 'v4',
    provider: PROVIDER,
    modelId,
    maxEmbeddingsPerCall: Infinity,
    // One worker does the work; texts of one call share its passes.
    supportsParallelCalls: false,
    async doEmbed({ values, dimensions, abortSignal, providerOptions }) {
      toCallOptions(providerOptions ? { providerOptions } : {});
      const { reflex } = desk.info ?? {};
      if (dimensions !== undefined && reflex && dimensions !== reflex.dimensions) throw new UnsupportedFunctionalityError(`${dimensions} dimensions`);
      const { embeddings } = await desk.embed(values, abortSignal && { signal: abortSignal });
      const truncated = embeddings.flatMap(({ isTruncated }, index) => (isTruncated ? [index] : []));
      return {
        embeddings: embeddings.map(({ vector }) => [...vector]),
        usage: { tokens: embeddings.reduce((sum, { tokens }) => sum + tokens, 0) },
        providerMetadata: { [PROVIDER]: plain({ source: 'device', truncated }) },
        warnings: [],
      };
    },
  };
}
