/** Downloads that stall, or that never end where nobody knows how long they should be. */
import { expect, test } from '@playwright/test';
import { download } from '../../../www/sdk/src/download.ts';

const MODEL = { id: 'm', url: 'https://example.com/m.gguf', sha256: 'abc' };
const hash = { update: () => undefined, finish: () => 'abc', free: () => undefined };
const realFetch = globalThis.fetch;

test.afterEach(() => {
  globalThis.fetch = realFetch;
});

test('a server that never answers is given up', async () => {
  globalThis.fetch = () => new Promise(() => undefined);
  const { error } = await tryDownload(new AbortController().signal);
  expect(error).toMatchObject({ code: 'download_failed', details: { receivedBytes: 0 } });
});

test('a download that stalls is given up; one that is slow is not', async () => {
  const sent = pieces([3, 3, 3], { msBetween: 30, endless: true });
  const { error, written } = await tryDownload(new AbortController().signal);
  expect(error).toMatchObject({ code: 'download_failed', details: { receivedBytes: 9 } });
  expect([written, sent.cancelled]).toEqual([9, true]);
  pieces([3, 3, 3], { msBetween: 30 });
  expect(await tryDownload(new AbortController().signal)).toEqual({ error: undefined, written: 9 });
});

test('aborting a stalled download rejects with the own reason', async () => {
  pieces([3], { msBetween: 1, endless: true });
  const { error } = await tryDownload(AbortSignal.timeout(10));
  expect(error).toMatchObject({ name: 'TimeoutError' });
});

test('a file of unknown length may not be longer than 4 GiB', async () => {
  const gibibyte = 2 ** 30;
  const sent = pieces([gibibyte, gibibyte, gibibyte, gibibyte, 1, 1], { msBetween: 0 });
  const { error, written } = await tryDownload(new AbortController().signal);
  expect(error).toMatchObject({ code: 'download_failed', details: { receivedBytes: 4 * gibibyte + 1 } });
  expect([written, sent.cancelled]).toEqual([4 * gibibyte, true]);
});

/** Makes `fetch` answer with pieces of these lengths (no such bytes exist); `endless` then says nothing more. */
function pieces(lengths: readonly number[], { msBetween, endless = false }: { msBetween: number; endless?: boolean }): { cancelled: boolean } {
  const sent = { cancelled: false };
  let next = 0;
  const reader = {
    read: async () => {
      await new Promise((resolve) => setTimeout(resolve, msBetween));
      if (next < lengths.length) return { done: false, value: { byteLength: lengths[next++] } };
      return endless ? new Promise(() => undefined) : { done: true };
    },
    cancel: () => {
      sent.cancelled = true;
      return Promise.resolve();
    },
  };
  globalThis.fetch = () => Promise.resolve({ ok: true, status: 200, headers: new Headers(), body: { getReader: () => reader } } as unknown as Response);
  return sent;
}

async function tryDownload(signal: AbortSignal): Promise<{ error: unknown; written: number }> {
  let written = 0;
  const writer = {
    write: (bytes: Uint8Array) => {
      written += bytes.byteLength;
    },
  };
  const options = { createHash: () => hash, signal, onProgress: () => undefined, stallMs: 70 };
  const error = await download(MODEL, options, writer).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { error, written };
}
