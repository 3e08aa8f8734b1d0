/** The interface of a cloud provider: the only thing that may send text off the device. */
import type { Receipt } from '../errors.js';
import type { ChatMessage, Label, TokenLogprob } from '../protocol.js';

/** What a provider is asked in a classification. */
export interface CloudClassifyRequest {
  readonly text: string;
  readonly labels: readonly Label[];
  /** What the texts are, in a few words, e.g. "customer message". */
  readonly subject?: string;
  /** What is asked of the text, whose answers the labels are; where absent, what it is about. */
  readonly question?: string;
}

/** What a provider is asked in a chat. */
export interface CloudChatRequest {
  readonly messages: readonly ChatMessage[];
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop: readonly string[];
  /** How many alternatives to report at each token; `undefined` asks for no log-probabilities. */
  readonly topLogprobs?: number;
}

/** Tokens, as the provider reported them. */
export interface CloudUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** The label that the cloud chose. */
export interface CloudClassification {
  /** Exactly one of the request's label names. */
  readonly value: string;
  readonly usage: CloudUsage | null;
}

/** A piece of a streamed answer. */
export interface CloudDelta {
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
}

/** What the cloud wrote. */
export interface CloudCompletion {
  readonly text: string;
  readonly finishReason: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly usage: CloudUsage | null;
  /** The model's name, as the provider reported it. */
  readonly model: string;
}

/** What every call of a provider takes. */
export interface CloudOptions {
  readonly signal?: AbortSignal;
  /** Must be called once per request, just before it is sent. */
  readonly onSend: (receipt: Receipt) => void;
}

/**
 * Answers over the network. An implementation sends at most one request per call, rejects with a
 * `FrontdeskError` (codes `upstream_*`, `rate_limited`, `cloud_paused`), and with `signal.reason`
 * when aborted.
 */
export interface CloudProvider {
  /** Bytes of the body that it would send; nothing is sent. Lets the ledger tell what calls would have cost. */
  sizeOf?(request: CloudClassifyRequest | CloudChatRequest): number;
  /** Chooses one of the labels. */
  classify(request: CloudClassifyRequest, options: CloudOptions): Promise<CloudClassification>;
  /** With `onDelta` the answer is streamed; the pieces joined are the `text` of the result. */
  chat(request: CloudChatRequest, options: CloudOptions & { readonly onDelta?: (delta: CloudDelta) => void }): Promise<CloudCompletion>;
}
