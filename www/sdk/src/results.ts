/** What calls return: every answer says who gave it, why, how sure it is, and what it cost. */
import type { Receipt } from './errors.js';
import type { Backend, LabelProbability, LocalClassification, LocalCompletion, ModuleVariant, TaskGuarantee, TokenLogprob } from './protocol.js';

/** Who gave an answer. */
export type Source = 'device' | 'cloud';

/**
 * Why the answer came from where it came from.
 * - `confident`: cascade, the device was sure enough.
 * - `committed`: cascade, streamed: the first tokens were sure enough to start, the whole was not; the
 *   text was out already.
 * - `low_confidence`: cascade, the device was not; the cloud answered.
 * - `out_of_scope`: cascade, the text is unlike all that the task learnt from; the cloud answered.
 * - `device_only`: the mode allows nothing else.
 * - `device_preferred`, `cloud_preferred`: the mode's first choice answered.
 * - `cloud_only`: the mode allows nothing else.
 * - `would_escalate`: the device was unsure, but no cloud is configured; its best guess.
 * - `cloud_failed`: the cloud was asked and failed (see `cloudError`); the device's answer.
 * - `cloud_paused`: the cloud asked for patience and was not bothered; the device's answer.
 * - `local_failed`: the device failed or the text did not fit; the cloud answered.
 * - `only_choice`: there was one label to choose from; nobody was asked.
 */
export type Reason =
  | 'confident'
  | 'committed'
  | 'low_confidence'
  | 'out_of_scope'
  | 'device_only'
  | 'device_preferred'
  | 'cloud_preferred'
  | 'cloud_only'
  | 'would_escalate'
  | 'cloud_failed'
  | 'cloud_paused'
  | 'local_failed'
  | 'only_choice';

/** Which promise about errors holds for this answer. */
export type Guarantee =
  | { readonly kind: 'none'; readonly why: string }
  | (TaskGuarantee & { readonly kind: 'certified'; readonly certified: NonNullable<TaskGuarantee['certified']> });

/** The model on the device. */
export interface AnsweringModel {
  readonly id: string;
  /** SHA-256 of the model file, lower-case hex; checked when the file was fetched, not at each visit. */
  readonly sha256: string;
  readonly backend: Backend;
  readonly variant: ModuleVariant;
}

/** Milliseconds of each leg, as the page saw them. */
export interface AnswerTiming {
  /** Absent where the device was not asked. */
  readonly localMs?: number;
  /** Absent where the cloud was not asked. */
  readonly cloudMs?: number;
  readonly totalMs: number;
}

/** Tokens of the cloud, as it reported them. */
export interface CloudCost {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What went wrong in the cloud, as plain data. */
export interface CloudFailure {
  readonly code: string;
  readonly message: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
}

/** What every answer says about itself. */
export interface Provenance {
  readonly source: Source;
  readonly reason: Reason;
  /** 0 to 1; null for answers of the cloud, which gives none. */
  readonly confidence: number | null;
  readonly guarantee: Guarantee;
  /** Absent in `only_in_cloud`, where no model is loaded. */
  readonly model?: AnsweringModel;
  readonly timing: AnswerTiming;
  /** Null where the cloud was not asked or did not say. */
  readonly cost: CloudCost | null;
  /** Present whenever a request was sent, also one that failed. */
  readonly receipt?: Receipt;
  /** Present where the cloud was to answer and did not. */
  readonly cloudError?: CloudFailure;
}

export interface Classification extends Provenance {
  /** One of the labels' names. */
  readonly value: string;
  /** In the order of the labels, summing to 1; empty for answers of the cloud (see `local`). */
  readonly probabilities: readonly LabelProbability[];
  /** The device's answer, whenever there was one. */
  readonly local?: LocalClassification;
  /** Whether the cloud's answer was kept for the task to learn from, where that was wanted. */
  readonly lesson?: 'kept' | 'not_kept';
}

/** The `frontdesk` field of chat completions. */
export interface CompletionProvenance extends Provenance {
  /** The device's answer, whenever there was a whole one: absent after a stream that escalated, whose device was stopped. */
  readonly local?: LocalCompletion;
}

/** OpenAI's usage object. */
export interface CompletionUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** Of the prompt, tokens that needed no computing; only for answers of the device. */
  readonly prompt_tokens_details?: { readonly cached_tokens: number };
}

/** Of the tokens of an answer, in order. */
export interface CompletionLogprobs {
  readonly content: readonly TokenLogprob[];
}

/** OpenAI's `chat.completion` and, under `frontdesk`, where it came from. */
export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly message: { readonly role: 'assistant'; readonly content: string };
      /** `stop` and `length` from the device; the cloud may say more. */
      readonly finish_reason: string;
      readonly logprobs: CompletionLogprobs | null;
    },
  ];
  readonly usage: CompletionUsage | null;
  readonly frontdesk: CompletionProvenance;
}

/** OpenAI's `chat.completion.chunk`; the last one carries `finish_reason`, `usage` and `frontdesk`. */
export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  /** Unix time in seconds. */
  readonly created: number;
  /** Empty until the last chunk, which knows who answered. */
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly delta: { readonly role?: 'assistant'; readonly content?: string };
      readonly finish_reason: string | null;
      readonly logprobs: CompletionLogprobs | null;
    },
  ];
  readonly usage?: CompletionUsage | null;
  readonly frontdesk?: CompletionProvenance;
}
