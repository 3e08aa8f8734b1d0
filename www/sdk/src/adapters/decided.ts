/** Answers a conversation with JSON of a small schema: each value is decided, none is generated. */
import type { CallOptions, ChatMessage, DecideProvenance, DecideResponse, Frontdesk, Reason, Source } from '../index.js';
import { planOf, type SchemaPlan } from './schema_questions.js';

/** Where the JSON came from; the whole is as sure as its least sure value. */
export interface DecidedProvenance {
  /** `cloud` where the cloud gave any of the values. */
  readonly source: Source;
  /** Of the value that the cloud gave, else of the least sure one. */
  readonly reason: Reason;
  /** The lowest; null where the cloud gave any of the values. */
  readonly confidence: number | null;
  /** By the schema's properties; `answer` for a schema that is no object. */
  readonly fields: Readonly<Record<string, DecideProvenance>>;
}

export interface Decided {
  /** JSON that the schema allows. */
  readonly text: string;
  readonly model: string;
  readonly usage: DecideResponse['usage'];
  readonly frontdesk: DecidedProvenance;
}

/** A conversation whose answer is to be of a schema. */
export interface SchemaRequest {
  readonly schema: unknown;
  readonly messages: readonly ChatMessage[];
  /** The caller's own error of a schema that cannot be decided; thrown before anything runs. */
  readonly refusal: (cause: unknown) => Error;
}

/** System prompts go before each question; all else that was said is what the questions are about. */
export async function decideBySchema(desk: Frontdesk, request: SchemaRequest, options: CallOptions): Promise<Decided> {
  const { messages } = request;
  const plan = checkedPlan(request);
  const { answers, model, usage, frontdesk } = await desk.decide({ state: stateOf(messages), questions: plan.questions }, options);
  return { text: JSON.stringify(plan.valueOf(answers)), model, usage, frontdesk: provenanceOf(frontdesk) };
}

/** Why a schema cannot be decided, for people. */
export function refusalOf(cause: unknown): string {
  return `only small schemas can be answered, whose values are decided: ${cause instanceof Error ? cause.message : String(cause)}`;
}

function checkedPlan({ schema, messages, refusal }: SchemaRequest): SchemaPlan {
  const preface = messages.flatMap(({ role, content }) => (role === 'system' ? [content] : [])).join('\n');
  try {
    return planOf(schema, { preface });
  } catch (error) {
    throw refusal(error);
  }
}

/** What was said: one text as it is, several with who said them. */
function stateOf(messages: readonly ChatMessage[]): string {
  const said = messages.filter(({ role }) => role !== 'system');
  if (said.length === 1) return said[0]?.content ?? '';
  return said.map(({ role, content }) => `${role}: ${content}`).join('\n');
}

function provenanceOf(fields: DecidedProvenance['fields']): DecidedProvenance {
  const sureness = ({ confidence }: DecideProvenance) => confidence ?? -1;
  const { source, reason, confidence } = Object.values(fields).reduce((least, other) => (sureness(other) < sureness(least) ? other : least));
  return { source, reason, confidence, fields };
}
