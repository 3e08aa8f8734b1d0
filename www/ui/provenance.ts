// Where an answer came from and why, as full sentences.
import type { Classification, CompletionProvenance, Guarantee } from 'frontdesk';
import { duration, percent } from './format.js';
import type { Mode } from './modes.js';

type Provenance = Pick<Classification, 'source' | 'reason' | 'timing' | 'cloudError'>;

export type Origin = 'here' | 'office' | 'unsure';

/** Which colour and icon an answer gets. */
export function originOf(answer: Pick<Provenance, 'source' | 'reason'>): Origin {
  if (answer.source === 'cloud') return 'office';
  return answer.reason === 'would_escalate' || answer.reason === 'cloud_failed' || answer.reason === 'cloud_paused' || answer.reason === 'committed' ? 'unsure' : 'here';
}

export function classificationSentence(answer: Classification, threshold: number): string {
  const isStrange = answer.local?.trained?.isOutOfScope === true;
  return sentence(answer, { confidence: answer.local?.confidence ?? answer.confidence, threshold, isStrange });
}

export function completionSentence(answer: CompletionProvenance, threshold: number): string {
  return sentence(answer, { confidence: answer.local?.confidence ?? answer.confidence, threshold });
}

const STRANGE = 'the text is unlike all that was learnt';

function sentence(answer: Provenance, facts: { confidence: number | null; threshold: number; isStrange?: boolean }): string {
  const here = duration(answer.timing.localMs ?? answer.timing.totalMs);
  const office = duration(answer.timing.cloudMs ?? answer.timing.totalMs);
  const unsure = facts.isStrange ? STRANGE : facts.confidence === null ? 'the model was unsure of its first words and was stopped' : `the model was only ${percent(facts.confidence)} sure (${percent(facts.threshold)} needed)`;
  switch (answer.reason) {
    case 'confident':
    case 'device_only':
    case 'device_preferred':
    case 'only_choice':
      return `Answered here in ${here}.`;
    case 'committed':
      return `Answered here in ${here}: the first words were sure enough to start, the whole was not.`;
    case 'low_confidence':
      return `Asked the back office, because ${unsure}. It took ${office}.`;
    case 'out_of_scope':
      return `Asked the back office, because ${STRANGE}. It took ${office}.`;
    case 'cloud_preferred':
    case 'cloud_only':
      return `Asked the back office, because the mode says so. It took ${office}.`;
    case 'would_escalate':
      return `Would escalate, because ${unsure}: no back office is configured; this is the local best guess, made in ${here}.`;
    case 'cloud_failed':
      return `The back office was asked and failed${failure(answer)}; this is the local best guess, made in ${here}.`;
    case 'cloud_paused':
      return `The back office asked for a pause, so nothing was sent; this is the local best guess, made in ${here}.`;
    case 'local_failed':
      return `Asked the back office, because the model here could not answer. It took ${office}.`;
  }
}

/** Why a request left, for the ledger. */
export function reasonToSend({ reason, local }: Sent, { mode, threshold }: { readonly mode: Mode; readonly threshold: number }): string {
  switch (reason) {
    case 'low_confidence':
    case 'cloud_failed':
      // Where the back office was asked first, how sure the model was afterwards is no reason.
      if (mode !== 'cascade') return BY_MODE;
      if (local?.trained?.isOutOfScope === true) return UNLIKE;
      return typeof local?.confidence === 'number' ? `The model was ${percent(local.confidence)} sure; ${percent(threshold)} was needed.` : 'The model was unsure of its first words and was stopped.';
    case 'out_of_scope':
      return UNLIKE;
    case 'local_failed':
      return 'The model here could not answer.';
    default:
      return BY_MODE;
  }
}

const BY_MODE = 'The mode says so.';
const UNLIKE = 'The text is unlike all that was learnt.';

type Sent = Pick<Provenance, 'reason'> & { readonly local?: { readonly confidence: number | null; readonly trained?: { readonly isOutOfScope: boolean } } };

function failure(answer: Provenance): string {
  const error = answer.cloudError;
  if (error === undefined) return '';
  switch (error.code) {
    case 'upstream_status':
      return ` (it answered with status ${error.status ?? 'unknown'})`;
    case 'rate_limited':
      return ' (it has too much to do)';
    case 'upstream_timeout':
      return ' (it took too long)';
    case 'upstream_malformed':
      return ' (its answer made no sense)';
    case 'upstream_network':
      return ' (it could not be reached)';
    default:
      return ` (${error.code})`;
  }
}

/** What is promised of an answer. */
export function guaranteeSentence(guarantee: Guarantee): string {
  if (guarantee.kind === 'none') return `none: ${guarantee.why}`;
  const { maxError, confidence, risk } = guarantee.budget;
  const whose = risk === 'added' ? 'of all answers are wrong because they were given here' : 'of the answers given here are wrong';
  return `at most ${percent(maxError)} ${whose}, with ${percent(confidence)} confidence`;
}
