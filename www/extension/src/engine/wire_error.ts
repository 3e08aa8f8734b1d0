// Errors as they cross between pages.
import { errorFacts } from '../../../ui/problems.js';
import type { WireError } from '../shared/protocol.js';

export function wireError(error: unknown): WireError {
  const { code, message } = errorFacts(error);
  return { code, message };
}

/** An error with a code of its own. */
export class CodedError extends Error {
  constructor(code: string, message: string) {
    super(message);
    this.name = code;
  }
}
