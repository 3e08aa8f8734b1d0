// What pages and the engine's page say to each other: one map, verb -> request, event, response, and the checks of what arrives.
import type { Classification, CompletionProvenance } from 'frontdesk';
import * as v from 'valibot';
import type { LedgerEntry } from '../../../ui/ledger.js';
import type { Question } from '../../../ui/answer_state.js';
import { MOST_CHARACTERS } from './jobs.js';
import { SETTINGS, type Settings } from './settings.js';

/** Of ports between our own pages. */
export const PORT_NAME = 'frontdesk';

export interface TextRequest {
  readonly text: string;
}

export interface Answered {
  readonly question: Question;
  readonly result: Classification;
  readonly ranOn: string;
}

export interface Summarised {
  readonly text: string;
  readonly threshold: number;
  readonly provenance: CompletionProvenance | null;
}

/** Of the work, where it is known. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** A request that left, as it crosses between pages. */
export type Receipt = Omit<LedgerEntry, 'at'> & { readonly at: string };

export type EngineState =
  | { readonly phase: 'starting'; readonly share: number }
  /** `place` says where the model computes; without one no model is loaded, since the mode asks the back office alone. */
  | { readonly phase: 'ready'; readonly model: string | null; readonly place: string | null; readonly memoryBytes: number; readonly startMs: number }
  | { readonly phase: 'failed'; readonly error: WireError };

export type Status = { readonly engine: EngineState } | { readonly receipts: readonly Receipt[] };

export interface WireError {
  readonly code: string;
  readonly message: string;
}

export interface Protocol {
  /** Refused where the page was made for another address: its policy cannot be changed. */
  configure: { request: Settings; event: never; response: null };
  /** Tells the state at once and then each change, until it is aborted; of receipts those that are new or changed. */
  watch: { request: null; event: Status; response: null };
  /** Tries again to load a model that failed. */
  restart: { request: null; event: never; response: null };
  classify: { request: TextRequest; event: Progress; response: Answered };
  route: { request: TextRequest; event: Progress; response: Answered };
  summarise: { request: TextRequest; event: { readonly piece: string }; response: Summarised };
  /** Ends the desk and all calls, so that nothing more leaves, and gives all receipts for the page that takes this one's place. */
  retire: { request: null; event: never; response: readonly Receipt[] };
  /** Receipts of an earlier page; those that are known already change nothing. */
  adopt: { request: readonly Receipt[]; event: never; response: null };
}

export type Verb = keyof Protocol;

const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const TEXT: v.GenericSchema<unknown, TextRequest> = v.strictObject({ text: v.pipe(v.string(), v.nonEmpty(), v.maxLength(MOST_CHARACTERS)) });
const RECEIPT: v.GenericSchema<unknown, Receipt> = v.strictObject({
  id: COUNT,
  at: v.pipe(v.string(), v.isoTimestamp()),
  url: v.string(),
  purpose: v.picklist(['classify', 'route', 'summarise', 'chat']),
  bytes: COUNT,
  body: v.string(),
  why: v.string(),
  outcome: v.string(),
});
const RECEIPTS = v.pipe(v.array(RECEIPT), v.readonly());

/** What a request must be. */
export const REQUESTS: { readonly [V in Verb]: v.GenericSchema<unknown, Protocol[V]['request']> } = {
  configure: SETTINGS,
  watch: v.null(),
  restart: v.null(),
  classify: TEXT,
  route: TEXT,
  summarise: TEXT,
  retire: v.null(),
  adopt: RECEIPTS,
};

const ERROR: v.GenericSchema<unknown, WireError> = v.strictObject({ code: v.string(), message: v.string() });
const ENGINE: v.GenericSchema<unknown, EngineState> = v.variant('phase', [
  v.strictObject({ phase: v.literal('starting'), share: v.number() }),
  v.strictObject({ phase: v.literal('ready'), model: v.nullable(v.string()), place: v.nullable(v.string()), memoryBytes: COUNT, startMs: v.number() }),
  v.strictObject({ phase: v.literal('failed'), error: ERROR }),
]);

/** What an event must be. */
export const EVENTS: { readonly [V in Verb]: v.GenericSchema<unknown, Protocol[V]['event']> } = {
  configure: v.never(),
  watch: v.union([v.strictObject({ engine: ENGINE }), v.strictObject({ receipts: RECEIPTS })]),
  restart: v.never(),
  classify: v.strictObject({ done: COUNT, total: COUNT }),
  route: v.strictObject({ done: COUNT, total: COUNT }),
  summarise: v.strictObject({ piece: v.string() }),
  retire: v.never(),
  adopt: v.never(),
};

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
// Of answers only what is drawn without a further look; the rest is the SDK's, from our own page.
const ANSWERED: v.GenericSchema<unknown, Answered> = v.pipe(
  v.strictObject({
    question: v.looseObject({ text: v.string(), labels: v.array(v.string()), mode: v.string(), threshold: v.number() }),
    result: v.looseObject({ value: v.string(), source: v.picklist(['device', 'cloud']), reason: v.string(), probabilities: v.array(v.strictObject({ label: v.string(), probability: v.number() })) }),
    ranOn: v.string(),
  }),
  v.transform((answer) => answer as unknown as Answered),
);
const SUMMARISED: v.GenericSchema<unknown, Summarised> = v.strictObject({ text: v.string(), threshold: v.number(), provenance: v.nullable(v.custom<CompletionProvenance>(isObject)) });

/** What a response must be. */
export const RESPONSES: { readonly [V in Verb]: v.GenericSchema<unknown, Protocol[V]['response']> } = {
  configure: v.null(),
  watch: v.null(),
  restart: v.null(),
  classify: ANSWERED,
  route: ANSWERED,
  summarise: SUMMARISED,
  retire: RECEIPTS,
  adopt: v.null(),
};

const ID = v.pipe(v.number(), v.integer(), v.minValue(1));

/** To the engine: a call, or the end of one. */
export const TO_ENGINE = v.union([v.strictObject({ id: ID, verb: v.picklist(Object.keys(REQUESTS) as Verb[]), request: v.unknown() }), v.strictObject({ id: ID, abort: v.literal(true) })]);

/** From the engine: at the end of each call either a response or an error. */
export const FROM_ENGINE = v.union([v.strictObject({ id: ID, event: v.unknown() }), v.strictObject({ id: ID, response: v.unknown() }), v.strictObject({ id: ID, error: ERROR })]);

export type ToEngine = v.InferOutput<typeof TO_ENGINE>;
export type FromEngine = v.InferOutput<typeof FROM_ENGINE>;
