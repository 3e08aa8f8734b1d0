/** Reads the Retry-After header: seconds or an HTTP date, as milliseconds from now. */

/** No server can pause the page's calls for longer than this. */
export const LONGEST_PAUSE_MS = 60 * 60 * 1000;

/**
 * Milliseconds to wait, 0 to one hour; `undefined` for a missing or senseless header.
 * `now` is Unix time in milliseconds.
 */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  const text = header?.trim();
  if (text === undefined || text === '') return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : httpDate(text) - now;
  if (Number.isNaN(wait)) return undefined;
  return Math.min(Math.max(wait, 0), LONGEST_PAUSE_MS);
}

/** Unix time in milliseconds; NaN for what is no HTTP date (`Date.parse` alone takes almost anything). */
function httpDate(text: string): number {
  return /^[A-Za-z]{3,9},? .*\d{2}:\d{2}:\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
}
