/** Errors of the desk as OpenAI's: a status, a body, and whether it is of use to try again. */
import { FrontdeskError } from '../errors.js';

const NOT_FOUND = 404;
const RATE_LIMITED = 429;
const UNAVAILABLE = 503;

const STATUSES: Readonly<Record<string, number>> = {
  invalid_input: 400,
  context_overflow: 400,
  rate_limited: RATE_LIMITED,
  cloud_paused: RATE_LIMITED,
  upstream_status: UNAVAILABLE,
  upstream_timeout: UNAVAILABLE,
  upstream_network: UNAVAILABLE,
  upstream_malformed: UNAVAILABLE,
  no_answer: UNAVAILABLE,
  destroyed: UNAVAILABLE,
  engine_crashed: UNAVAILABLE,
  worker_died: UNAVAILABLE,
};

/** Failures that may have passed by the next try; the client tries again by itself. */
const PASSING = ['rate_limited', 'cloud_paused', 'upstream_timeout', 'upstream_network', 'engine_crashed', 'worker_died'];
/** What the client is willing to wait; it tries sooner than it should where it is told more. */
const LONGEST_WAIT_MS = 60_000;

/** A JSON response. */
export function json(body: unknown, { status = 200, headers = {} }: { status?: number; headers?: Readonly<Record<string, string>> } = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** What no desk was asked: the wrong address or method. */
export function refused(status: 404 | 405, message: string, headers: Readonly<Record<string, string>> = {}): Response {
  const code = status === NOT_FOUND ? 'not_found' : 'method_not_allowed';
  return json({ error: { message, type: 'invalid_request_error', param: null, code } }, { status, headers });
}

/** The response that makes the client throw its own error of that status. */
export function failed(error: unknown): Response {
  const wait = FrontdeskError.isInstance(error) ? Number(error.details.retryAfterMs ?? 0) : 0;
  const headers = {
    ...(wait > 0 && { 'retry-after': String(Math.ceil(wait / 1000)) }),
    // The client knows this header from OpenAI's servers.
    ...(!mayPass(error, wait) && { 'x-should-retry': 'false' }),
  };
  return json(errorBody(error), { status: statusOf(error), headers });
}

/** OpenAI's error body; `code` is this package's, and `frontdesk` has the error's details and the receipt of what was sent. */
export function errorBody(error: unknown): object {
  const message = error instanceof Error ? error.message : String(error);
  const status = statusOf(error);
  const type = status === RATE_LIMITED ? 'rate_limit_error' : status < RATE_LIMITED ? 'invalid_request_error' : 'server_error';
  if (!FrontdeskError.isInstance(error)) return { error: { message, type, param: null, code: 'internal' } };
  const { code, details, receipt } = error;
  return { error: { message, type, param: null, code, frontdesk: { details, ...(receipt && { receipt }) } } };
}

function statusOf(error: unknown): number {
  return (FrontdeskError.isInstance(error) ? STATUSES[error.code] : undefined) ?? 500;
}

function mayPass(error: unknown, wait: number): boolean {
  if (!FrontdeskError.isInstance(error) || wait > LONGEST_WAIT_MS) return false;
  return PASSING.includes(error.code) || (error.code === 'upstream_status' && Number(error.details.status) >= 500);
}
