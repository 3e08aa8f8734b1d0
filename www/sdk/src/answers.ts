/** Builds what callers get from an outcome: classifications and OpenAI-shaped completions. */
import type { Outcome } from './cascade.js';
import type { LocalClassification, LocalCompletion, ModelInfo, TokenLogprob, TrainedSigns } from './protocol.js';
import type { CloudClassification, CloudCompletion, CloudDelta, CloudUsage } from './providers/provider.js';
import type { ChatCompletion, ChatCompletionChunk, Classification, CompletionProvenance, CompletionUsage, Guarantee, Provenance } from './results.js';
import type { Run } from './run.js';

type ChatOutcome = Outcome<LocalCompletion, CloudCompletion>;

const NO_GUARANTEE = { kind: 'none', why: 'the threshold has not been certified on calibration rows' } as const;

export function toClassification(outcome: Outcome<LocalClassification, CloudClassification>, run: Run, info?: ModelInfo): Classification {
  const { local } = outcome;
  const answer =
    outcome.source === 'device'
      ? { value: outcome.local.value, probabilities: outcome.local.probabilities }
      : { value: outcome.cloud.value, probabilities: [] };
  const guarantee = outcome.source === 'device' && outcome.local.trained ? taskGuarantee(outcome.local.trained) : NO_GUARANTEE;
  return { ...answer, ...provenance(outcome, run, info), guarantee, ...(local && { local }) };
}

function taskGuarantee({ guarantee }: TrainedSigns): Guarantee {
  if (guarantee?.certified) return { kind: 'certified', ...guarantee, certified: guarantee.certified };
  return { kind: 'none', why: 'the task is not certified for the threshold in use; see its calibrate()' };
}

export function toCompletion(outcome: ChatOutcome, run: Run, { info, logprobs }: { info?: ModelInfo | undefined; logprobs: boolean }): ChatCompletion {
  const answer = outcome.source === 'device' ? outcome.local : outcome.cloud;
  return {
    ...header(),
    object: 'chat.completion',
    model: modelName(outcome, info),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: answer.text },
        finish_reason: answer.finishReason,
        logprobs: logprobs ? { content: answer.logprobs } : null,
      },
    ],
    usage: usageOf(outcome),
    frontdesk: chatProvenance(outcome, run, info),
  };
}

/** OpenAI's chunks of one streamed answer, which share an id. */
export class ChunkMaker {
  readonly #header = { ...header(), object: 'chat.completion.chunk' } as const;
  readonly #logprobs: boolean;

  constructor({ logprobs }: { logprobs: boolean }) {
    this.#logprobs = logprobs;
  }

  first(): ChatCompletionChunk {
    return { ...this.#header, model: '', choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null, logprobs: null }] };
  }

  piece({ text, logprobs }: CloudDelta): ChatCompletionChunk {
    const content: readonly TokenLogprob[] = logprobs;
    return {
      ...this.#header,
      model: '',
      choices: [{ index: 0, delta: { content: text }, finish_reason: null, logprobs: this.#logprobs ? { content } : null }],
    };
  }

  last(outcome: ChatOutcome, run: Run, info?: ModelInfo): ChatCompletionChunk {
    const { finishReason } = outcome.source === 'device' ? outcome.local : outcome.cloud;
    return {
      ...this.#header,
      model: modelName(outcome, info),
      choices: [{ index: 0, delta: {}, finish_reason: finishReason, logprobs: null }],
      usage: usageOf(outcome),
      frontdesk: chatProvenance(outcome, run, info),
    };
  }
}

function chatProvenance(outcome: ChatOutcome, run: Run, info?: ModelInfo): CompletionProvenance {
  const { local } = outcome;
  return { ...provenance(outcome, run, info), ...(local && { local }) };
}

function provenance(
  outcome: Outcome<{ readonly confidence: number }, { readonly usage: CloudUsage | null }>,
  run: Run,
  info?: ModelInfo,
): Provenance {
  const { source, reason } = outcome;
  const cloudError = source === 'device' ? run.cloudFailure : undefined;
  return {
    source,
    reason,
    confidence: source === 'device' ? outcome.local.confidence : null,
    guarantee: NO_GUARANTEE,
    ...(info && { model: { id: info.id, sha256: info.sha256, backend: info.backend, variant: info.variant } }),
    timing: run.timing,
    cost: source === 'cloud' ? outcome.cloud.usage : null,
    ...(run.receipt && { receipt: run.receipt }),
    ...(cloudError && { cloudError }),
  };
}

function header(): { id: string; created: number } {
  // Not randomUUID: pages that came over plain HTTP have none.
  const digits = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0'));
  return { id: `chatcmpl-${digits.join('')}`, created: Math.floor(Date.now() / 1000) };
}

function modelName(outcome: ChatOutcome, info?: ModelInfo): string {
  return outcome.source === 'cloud' ? outcome.cloud.model : (info?.id ?? '');
}

function usageOf(outcome: ChatOutcome): CompletionUsage | null {
  if (outcome.source === 'cloud') {
    const { usage } = outcome.cloud;
    return usage && tokens(usage.inputTokens, usage.outputTokens);
  }
  const { promptTokens, completionTokens, cachedTokens } = outcome.local.usage;
  return { ...tokens(promptTokens, completionTokens), prompt_tokens_details: { cached_tokens: cachedTokens } };
}

function tokens(prompt: number, completion: number) {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}
