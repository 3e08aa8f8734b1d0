/** Downloads from servers that get it wrong in every way: the right file or a typed error, never a wrong file. */
import { createHash } from 'node:crypto';
import { expect, test } from '@playwright/test';
import { download } from '../../../www/sdk/src/files/download.ts';
import { MemoryPartial } from '../../../www/sdk/src/files/partial_file.ts';
import { CONTENT, FILE, FILE_IN_CHUNKS, type FileServer, startFileServer, type Way } from '../servers/hostile_files.ts';

const STALL_MS = 300;
const RETRY_MS = 5;
const UNKNOWN_LENGTH = { sha256: FILE.sha256 };
const ALL = [FILE, FILE_IN_CHUNKS, UNKNOWN_LENGTH];

let server: FileServer;
test.beforeAll(async () => {
  server = await startFileServer();
});
test.afterAll(async () => {
  await server.close();
});

/** Ways that bring the right file all the same. */
const SUCCEED: readonly Way[] = [
  'right', 'with_etag', 'without_ranges', 'without_ranges_or_length', 'forgets_ranges', 'cuts_each', 'cuts_whole_once', 'stalls_once', 'slow',
  'range_hidden', 'shorter_pieces', 'changes', 'busy_first', 'redirects', 'other_etags',
];
for (const way of SUCCEED) {
  for (const [index, file] of ALL.entries()) {
    test(`${way}: the right file (${nameOf(index)})`, async () => {
      const { error, bytes } = await tryDownload(way, file);
      expect(error).toBeUndefined();
      expect(bytes?.equals(CONTENT)).toBe(true);
    });
  }
}

/** Ways that bring nothing but an error, and which. */
const FAIL: readonly [Way, object, typeof ALL?][] = [
  ['cuts_at_once', { code: 'download_failed' }],
  ['stalls', { code: 'download_failed' }],
  ['never_answers', { code: 'download_failed', details: { receivedBytes: 0 } }],
  ['promises_more', { code: 'download_failed' }, [FILE, FILE_IN_CHUNKS]],
  ['sends_more', { code: 'length_mismatch' }],
  ['says_other_length', { code: 'length_mismatch', details: { expectedBytes: FILE.bytes, receivedBytes: FILE.bytes + 5 } }, [FILE, FILE_IN_CHUNKS]],
  ['other_range', { code: 'download_failed' }],
  ['other_range_hidden', { code: 'hash_mismatch' }, [FILE_IN_CHUNKS]],
  // The last part comes a byte short.
  ['other_range_hidden', {}, [FILE]],
  ['multipart', {}],
  ['changes_unsaid', { code: 'hash_mismatch' }, [FILE]],
  ['flipped', { code: 'hash_mismatch', details: { chunk: 6 } }, [FILE_IN_CHUNKS]],
  ['flipped', { code: 'hash_mismatch', details: { expected: FILE.sha256 } }, [FILE, UNKNOWN_LENGTH]],
  ['busy_for_an_hour', { code: 'download_failed', details: { status: 503, retryAfterMs: 3_600_000 } }],
  ['refuses_ranges', { code: 'length_mismatch' }],
  ['forbidden', { code: 'download_failed', details: { status: 403 } }],
  ['login_page', { code: 'length_mismatch' }, [FILE, FILE_IN_CHUNKS]],
  ['login_page', { code: 'hash_mismatch' }, [UNKNOWN_LENGTH]],
  ['redirects_for_ever', { code: 'download_failed' }],
  ['compressed', { code: 'download_failed' }],
];
for (const [way, expected, files = ALL] of FAIL) {
  for (const file of files) {
    test(`${way}: a typed error (${nameOf(ALL.indexOf(file))})`, async () => {
      const { error } = await tryDownload(way, file);
      expect(error).toMatchObject({ ...expected, name: expect.stringMatching(/(Failed|Mismatch)Error$/) });
    });
  }
}

for (const way of ['flipped_once', 'changes_unsaid'] as const) {
  test(`${way}: where each chunk's hash is known, wrong ones are fetched again`, async () => {
    const { error, bytes } = await tryDownload(way, FILE_IN_CHUNKS);
    expect(error).toBeUndefined();
    expect(bytes?.equals(CONTENT)).toBe(true);
  });
}

test('several parts are fetched at a time, each once', async () => {
  server.log.length = 0;
  await tryDownload('right', FILE_IN_CHUNKS);
  expect(server.log).toHaveLength(13);
  expect(new Set(server.log).size).toBe(13);
});

test('a part that breaks off goes on from the last byte that arrived', async () => {
  server.log.length = 0;
  await tryDownload('cuts_each', FILE);
  const starts = server.log.map((line) => Number(/bytes=(\d+)-/.exec(line)?.[1])).sort((left, right) => left - right);
  expect(new Set(starts).size).toBe(starts.length);
  expect(starts).toContain(700_000);
});

test('a server that is not there is a failed download', async () => {
  const gone = await startFileServer();
  await gone.close();
  const { error } = await tryDownload('right', FILE, { origin: gone.origin });
  expect(error).toMatchObject({ code: 'download_failed' });
});

test('progress never falls, begins at nothing and ends with everything', async () => {
  for (const way of ['cuts_each', 'cuts_whole_once', 'flipped_once'] as const) {
    const { progress } = await tryDownload(way, FILE_IN_CHUNKS);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(FILE.bytes);
    expect(progress).toEqual([...progress].sort((left, right) => left - right));
    expect(Math.max(...progress)).toBe(FILE.bytes);
  }
});

test('aborting rejects with the own reason, at any time', async () => {
  for (const way of ['slow', 'stalls', 'never_answers'] as const) {
    const { error } = await tryDownload(way, FILE, { signal: AbortSignal.timeout(60) });
    expect(error).toMatchObject({ name: 'TimeoutError' });
  }
});

test('a file without an address, and not on the device, says so', async () => {
  const error = await failureOf(download({ id: 'mine', sha256: FILE.sha256 }, options(new AbortController().signal), new MemoryPartial()));
  expect(error).toMatchObject({ code: 'download_failed', message: expect.stringContaining('mine') });
});

test('a file of unknown length may not be longer than 4 GiB', async () => {
  const gibibyte = 2 ** 30;
  const realFetch = globalThis.fetch;
  // No such bytes exist: only their lengths are told.
  const lengths = [gibibyte, gibibyte, gibibyte, gibibyte, 1, 1];
  const reader = {
    read: () => Promise.resolve({ done: lengths.length === 0, value: { byteLength: lengths.shift() } }),
    cancel: () => Promise.resolve(),
  };
  const getReader = (options?: object) => {
    if (options) throw new TypeError('this is no stream of bytes');
    return reader;
  };
  globalThis.fetch = () => Promise.resolve({ status: 200, headers: new Headers(), body: { getReader } } as unknown as Response);
  let written = 0;
  const file = {
    journal: undefined,
    begin: () => undefined,
    read: () => undefined,
    note: () => undefined,
    write: (_offset: number, { byteLength }: Uint8Array) => {
      written += byteLength;
    },
  };
  const hash = { update: () => undefined, finish: () => '', free: () => undefined };
  const counting = { ...options(new AbortController().signal), createHash: () => hash };
  const error = await failureOf(download({ id: 'm', url: 'https://example.com/m.gguf', sha256: 'abc' }, counting, file));
  globalThis.fetch = realFetch;
  expect(error).toMatchObject({ code: 'download_failed', details: { receivedBytes: 4 * gibibyte + 1 } });
  expect(written).toBe(4 * gibibyte);
});

let tries = 0;

/** Each try has an address of its own, so that the server counts its requests anew. */
async function tryDownload(
  way: Way,
  file: Partial<typeof FILE_IN_CHUNKS> & { sha256: string },
  { origin = server.origin, signal = new AbortController().signal } = {},
): Promise<{ error: unknown; bytes: Buffer | undefined; progress: number[] }> {
  const target = new MemoryPartial();
  const progress: number[] = [];
  const model = { id: 'm', url: `${origin}/${way}?${(tries += 1)}`, ...file };
  const error = await failureOf(download(model, { ...options(signal), onProgress: ({ loaded }) => progress.push(loaded) }, target));
  return { error, progress, bytes: error === undefined ? Buffer.from(target.written) : undefined };
}

function options(signal: AbortSignal) {
  const createHash = () => {
    const hash = createHash256();
    return { update: (bytes: Uint8Array) => { hash.update(bytes); }, finish: () => hash.digest('hex'), free: () => undefined };
  };
  return { createHash, signal, onProgress: () => undefined, stallMs: STALL_MS, retryMs: RETRY_MS };
}

function createHash256() {
  return createHash('sha256');
}

function failureOf(work: Promise<void>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

function nameOf(index: number): string {
  return ['length known', 'chunks known', 'nothing known'][index] ?? '';
}
