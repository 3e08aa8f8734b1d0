/** Errors of the desk as the Prompt API has them: DOMExceptions and TypeErrors, with ours as their `cause`. */
import { FrontdeskError } from '../errors.js';

const NETWORK = ['download_failed', 'length_mismatch', 'hash_mismatch', 'upstream_status', 'rate_limited', 'upstream_timeout', 'upstream_network', 'upstream_malformed', 'cloud_paused'];
const NAMES: Readonly<Record<string, string>> = {
  destroyed: 'InvalidStateError',
  unsupported_browser: 'NotSupportedError',
  unsupported_model: 'NotSupportedError',
  ...Object.fromEntries(NETWORK.map((code) => [code, 'NetworkError'])),
};

/** What is not of this package stays as it is: the reasons of aborts, and what was made for these callers already. */
export function toPromptError(error: unknown): unknown {
  if (!FrontdeskError.isInstance(error)) return error;
  if (error.code === 'invalid_input') return new TypeError(error.message, { cause: error });
  if (error.code === 'context_overflow') return withCause(quotaExceeded(error.message), error);
  return domException(NAMES[error.code] ?? 'OperationError', { message: error.message, cause: error });
}

/** DOMException takes no cause, but may have one. */
export function domException(name: string, { message, cause }: { readonly message: string; readonly cause?: unknown }): DOMException {
  const error = new DOMException(message, name);
  return cause === undefined ? error : withCause(error, cause);
}

/** What is asked for is part of the Prompt API, but not to be had here. */
export function notSupported(message: string, cause?: unknown): DOMException {
  return domException('NotSupportedError', { message, cause });
}

function withCause(error: DOMException, cause: unknown): DOMException {
  return Object.defineProperty(error, 'cause', { value: cause, configurable: true });
}

/** A class of its own in newer browsers. */
function quotaExceeded(message: string): DOMException {
  const { QuotaExceededError } = globalThis as { QuotaExceededError?: new (message: string) => DOMException };
  return QuotaExceededError ? new QuotaExceededError(message) : new DOMException(message, 'QuotaExceededError');
}
