/** Retry-After: seconds, dates and nonsense. */
import { expect, test } from '@playwright/test';
import { LONGEST_PAUSE_MS, parseRetryAfter } from '../../../www/sdk/src/retry_after.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

test('seconds become milliseconds', () => {
  expect(parseRetryAfter('7', NOW)).toBe(7000);
  expect(parseRetryAfter(' 0 ', NOW)).toBe(0);
});

test('a date becomes the time until then, and none where it has passed', () => {
  expect(parseRetryAfter('Fri, 02 Jan 2026 03:04:35 GMT', NOW)).toBe(30_000);
  expect(parseRetryAfter('Fri, 02 Jan 2026 03:00:00 GMT', NOW)).toBe(0);
});

test('no server pauses a page for longer than an hour', () => {
  expect(parseRetryAfter('999999999999', NOW)).toBe(LONGEST_PAUSE_MS);
  expect(parseRetryAfter('Fri, 02 Jan 2099 03:04:35 GMT', NOW)).toBe(LONGEST_PAUSE_MS);
});

for (const senseless of [null, '', 'soon', '-5', '1.5', '12s', 'Fri, 99 Foo 2026 03:04:35 GMT']) {
  test(`${JSON.stringify(senseless)} says nothing`, () => {
    expect(parseRetryAfter(senseless, NOW)).toBeUndefined();
  });
}
