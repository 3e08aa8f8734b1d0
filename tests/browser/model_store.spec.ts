/** The models on the device: fetched in parts, gone on with after any interruption, listed, removed, imported, used without a network. */
import type { Page } from '@playwright/test';
import type { ModelByUrl, StoredModel } from 'frontdesk';
import { test } from './file_fixtures.ts';
import { createDesk, expect, LABELS, openPage, TICKET } from './fixtures.ts';
import { CONTENT, FILE, FILE_IN_CHUNKS, type FileServer, type Way } from './servers/hostile_files.ts';
import { REAL_MODEL } from './servers/models.ts';

const CHUNK_BYTES = FILE_IN_CHUNKS.chunks.bytes;
const PART = `${FILE.sha256}.part`;
const JOURNAL = `${FILE.sha256}.journal`;

test('prepare fetches ahead, in parts; the model is listed, and gone when removed', async ({ page, site, files }) => {
  await openPage(page, site);
  const { value } = await prepare(page, files, 'right');
  expect(value).toMatchObject({ ...FILE, isComplete: true, id: 'right' });
  expect(files.log).toHaveLength(13);
  expect(await storedHash(page)).toBe(FILE.sha256);
  const { listed, usage, removed, again, after } = await page.evaluate(async (sha256) => {
    const { store } = window.frontdesk;
    const listed = await store.list();
    const usage = await store.usage();
    const removed = await store.remove({ sha256 });
    return { listed, usage, removed, again: await store.remove({ sha256 }), after: await store.list() };
  }, FILE.sha256);
  expect(listed).toEqual([value]);
  expect(usage).toMatchObject({ modelBytes: FILE.bytes, isPersistent: expect.any(Boolean) });
  expect(usage.usedBytes).toBeGreaterThanOrEqual(FILE.bytes);
  expect(usage.quotaBytes).toBeGreaterThan(usage.usedBytes);
  expect([removed, again, after]).toEqual([true, false, []]);
  expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
});

test('the browser is asked to keep what is stored before anything is fetched', async ({ page, site, files }) => {
  await openPage(page, site);
  await page.evaluate(() => {
    StorageManager.prototype.persist = async () => (await fetch('/asked_to_persist')).ok;
  });
  site.log.length = 0;
  const { error } = await page.evaluate(() => window.settle(window.frontdesk.store.prepare({ url: '/made-up/missing', sha256: '0'.repeat(64) })));
  expect(error).toMatchObject({ code: 'download_failed', details: { status: 404 } });
  expect(site.log.filter((line) => /persist|made-up/.test(line))).toEqual(['GET /asked_to_persist', 'GET /made-up/missing']);
  expect(files.log).toEqual([]);
});

for (const how of ['the page is loaded anew', 'the page is closed', 'the page crashes', 'the call is aborted'] as const) {
  test(`a download goes on where it was when ${how}`, async ({ page, site, files }) => {
    await openPage(page, site);
    await interrupt(page, files, how);
    const there = await eventually(page.context().newPage(), site, PART);
    const [partial] = await there.evaluate(() => window.frontdesk.store.list());
    expect(partial).toMatchObject({ ...FILE, isComplete: false });
    const before = verifiedChunks(await journal(there));
    expect(before.length).toBeGreaterThan(2);
    files.log.length = 0;
    const { value, error } = await prepare(there, files, 'right');
    expect(error).toBeUndefined();
    expect(value).toMatchObject({ isComplete: true });
    expect(await storedHash(there)).toBe(FILE.sha256);
    // Nothing that was verified is fetched again, and everything else is.
    const fetched = files.log.map(chunkOf).sort((left, right) => left - right);
    expect([...fetched, ...before].sort((left, right) => left - right)).toEqual([...Array(13).keys()]);
    expect(await there.evaluate(() => window.keptFiles())).toEqual([`${FILE.sha256}.gguf`]);
  });
}

test('a network that is lost for long is a typed error, and the next attempt goes on', async ({ page, site, files }) => {
  await openPage(page, site);
  const running = prepare(page, files, 'slow');
  await expect.poll(() => files.log.length).toBeGreaterThan(7);
  files.setDown(true);
  const { error } = await running;
  expect(error).toMatchObject({ code: 'download_failed', isFrontdeskError: true });
  files.setDown(false);
  files.log.length = 0;
  const { value } = await prepare(page, files, 'right');
  expect(value).toMatchObject({ isComplete: true });
  expect(files.log.length).toBeLessThan(13);
  expect(await storedHash(page)).toBe(FILE.sha256);
});

test('a network that is lost for a moment is not even noticed', async ({ page, site, files }) => {
  await openPage(page, site);
  const running = prepare(page, files, 'slow');
  await expect.poll(() => files.log.length).toBeGreaterThan(5);
  await page.context().setOffline(true);
  await page.waitForTimeout(1500);
  await page.context().setOffline(false);
  const { error, value } = await running;
  expect(error).toBeUndefined();
  expect(value).toMatchObject({ isComplete: true });
  expect(await storedHash(page)).toBe(FILE.sha256);
});

test('of what was there, a part that was damaged meanwhile is fetched again', async ({ page, site, files }) => {
  await openPage(page, site);
  await interrupt(page, files, 'the call is aborted');
  await eventually(page, site, PART);
  const [damaged = 0, ...intact] = verifiedChunks(await journal(page));
  await overwrite(page, PART, damaged * CHUNK_BYTES + 5, 'rubbish');
  files.log.length = 0;
  const { value } = await prepare(page, files, 'right');
  expect(value).toMatchObject({ isComplete: true });
  const fetched = files.log.map(chunkOf);
  expect(fetched).toContain(damaged);
  expect(fetched.filter((chunk) => intact.includes(chunk))).toEqual([]);
  expect(await storedHash(page)).toBe(FILE.sha256);
});

for (const rubbish of ['', 'rubbish', '{"version":1,"bytes":-3}\n', `{"version":1,"bytes":${FILE.bytes},"chunkBytes":${CHUNK_BYTES}}\n{"chunk":1e9,"sha256":"x"}\n{"chunk":0,"sha256":{}}\nnull\n[`]) {
  test(`a journal that says ${JSON.stringify(rubbish.slice(0, 24))} costs the download nothing but time`, async ({ page, site, files }) => {
    await openPage(page, site);
    await interrupt(page, files, 'the call is aborted');
    await eventually(page, site, PART);
    await overwrite(page, JOURNAL, 0, rubbish, { truncate: true });
    const { value } = await prepare(page, files, 'right');
    expect(value).toMatchObject({ isComplete: true });
    expect(await storedHash(page)).toBe(FILE.sha256);
  });
}

test('a file that changed on the server between two visits is fetched anew', async ({ page, site, files }) => {
  await openPage(page, site);
  const url = `${files.origin}/changes`;
  // The first two answers are of the old file; the third is of the new one, and the chunks' hashes are not known.
  const { error } = await page.evaluate(([url, file]) => window.settle(window.frontdesk.store.prepare({ url, ...file })), [url, FILE] as const);
  expect(error).toBeUndefined();
  expect(await storedHash(page)).toBe(FILE.sha256);
});

test('two tabs that want the same file fetch it once', async ({ page, site, files }) => {
  await openPage(page, site);
  const other = await openPage(await page.context().newPage(), site);
  const both = await Promise.all([prepare(page, files, 'slow'), prepare(other, files, 'slow')]);
  for (const { value } of both) expect(value).toMatchObject({ isComplete: true });
  expect(files.log).toHaveLength(13);
  await other.close();
});

test('where room is scarce, the model that was used least recently makes way', async ({ page, site, files }) => {
  await openPage(page, site);
  await prepare(page, files, 'right');
  const old = await keepFake(page, 'a'.repeat(64), 1);
  const older = await keepFake(page, 'b'.repeat(64), 0);
  const session = await page.context().newCDPSession(page);
  const { usage } = await page.evaluate(() => navigator.storage.estimate());
  await page.evaluate((sha256) => window.frontdesk.store.remove({ sha256 }), FILE.sha256);
  // Room for the file, once one of the other two is gone.
  await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: (usage ?? 0) - 1024 * 1024 });
  const { error } = await prepare(page, files, 'right');
  expect(error).toBeUndefined();
  const left = (await page.evaluate(() => window.frontdesk.store.list())).map(({ sha256 }) => sha256);
  expect(left).toEqual([old, FILE.sha256]);
  expect(left).not.toContain(older);
  // Where even that is not enough, nothing is removed in vain.
  await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 1024 * 1024 });
  const full = await page.evaluate(() => window.settle(window.frontdesk.store.prepare({ url: '/x', sha256: 'c'.repeat(64), bytes: 2 ** 30 })));
  expect(full.error).toMatchObject({ code: 'storage_full', details: { neededBytes: 2 ** 30, missingBytes: expect.any(Number) } });
  expect(await page.evaluate(() => window.frontdesk.store.list())).toHaveLength(2);
});

test('a model comes from a file that the user has, and is loaded by its hash alone', async ({ page, site }) => {
  await openPage(page, site);
  const { stored, progress } = await page.evaluate(async (path) => {
    const progress: number[] = [];
    const file = new File([await (await fetch(path)).blob()], 'my-model.gguf');
    const stored = await window.frontdesk.store.import(file, { onProgress: ({ loaded, total }) => progress.push(loaded / total) });
    return { stored, progress };
  }, `/models/${REAL_MODEL}`);
  expect(stored).toMatchObject({ id: 'my-model.gguf', bytes: 98_362_432, isComplete: true });
  expect(progress).toEqual([...progress].sort((left, right) => left - right));
  expect(progress.at(-1)).toBe(1);
  site.log.length = 0;
  const info = await createDesk(page, { model: { sha256: stored.sha256 }, mode: 'only_on_device' });
  expect(info).toMatchObject({ cached: true, sha256: stored.sha256 });
  expect(site.log.filter((line) => line.includes('/models/'))).toEqual([]);
  const { value } = await page.evaluate(([text, labels]) => window.settle(window.desk.classify(text, { labels })), [TICKET, LABELS] as const);
  expect(value?.value).toBe('billing');
  await page.evaluate(() => window.desk.destroy());
});

test('files that are no model, or another one than was said, are refused and leave nothing', async ({ page, site }) => {
  await openPage(page, site);
  const { rubbish, empty, other, text, gone } = await page.evaluate(async () => {
    const { store } = window.frontdesk;
    const take = (file: Blob, options?: Parameters<typeof store.import>[1]) => window.settle(store.import(file, options));
    return {
      rubbish: await take(new Blob(['this is no model'])),
      empty: await take(new Blob([])),
      other: await take(new Blob(['GGUF and then something else']), { model: 'smollm2-135m-instruct' }),
      text: await take('GGUF' as unknown as Blob),
      gone: await window.settle(window.frontdesk.Frontdesk.create({ model: { sha256: 'd'.repeat(64) } })),
    };
  });
  expect(rubbish.error).toMatchObject({ code: 'invalid_model', isFrontdeskError: true });
  expect(empty.error).toMatchObject({ code: 'invalid_model' });
  expect(other.error).toMatchObject({ code: 'hash_mismatch' });
  expect(text.error).toMatchObject({ code: 'invalid_input' });
  expect(gone.error).toMatchObject({ code: 'download_failed', message: expect.stringContaining('not on this device') });
  expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
});

test('without a network the page, the engine and the model come from the device', async ({ page, site }) => {
  await openPage(page, site);
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/offline_worker.js');
    await navigator.serviceWorker.ready;
  });
  await openPage(page, site);
  await createDesk(page, { modelBaseUrl: '/models', mode: 'only_on_device' });
  await page.evaluate(() => window.desk.destroy());
  await page.context().setOffline(true);
  await page.reload();
  await page.locator('html[data-ready=yes]').waitFor();
  const info = await createDesk(page, { modelBaseUrl: '/models', mode: 'only_on_device' });
  expect(info).toMatchObject({ cached: true });
  const { value } = await page.evaluate(([text, labels]) => window.settle(window.desk.classify(text, { labels })), [TICKET, LABELS] as const);
  expect(value).toMatchObject({ value: 'billing', source: 'device' });
  await page.evaluate(() => window.desk.destroy());
});

test('senseless models are refused before anything runs', async ({ page, site }) => {
  await openPage(page, site);
  const models: readonly (Partial<ModelByUrl> | string)[] = [
    'no-such-model',
    { url: '/x', sha256: 'abc' },
    { url: '/x', sha256: FILE.sha256, bytes: -1 },
    { url: '/x', sha256: FILE.sha256, chunks: FILE_IN_CHUNKS.chunks },
    { url: '/x', ...FILE_IN_CHUNKS, chunks: { bytes: 1, sha256: [] } },
    { url: '/x', ...FILE_IN_CHUNKS, chunks: { bytes: CHUNK_BYTES, sha256: ['x'] } },
    { url: '/x', ...FILE_IN_CHUNKS, chunks: { bytes: CHUNK_BYTES, sha256: Array(13).fill('x') as string[] } },
  ];
  for (const model of models) {
    const { error } = await page.evaluate((model) => window.settle(window.frontdesk.store.prepare(model as ModelByUrl)), model);
    expect(error).toMatchObject({ code: 'invalid_input' });
  }
});

function prepare(page: Page, { origin }: FileServer, way: Way): Promise<Settled<StoredModel>> {
  return page.evaluate(([url, file]) => window.settle(window.frontdesk.store.prepare({ url, ...file })), [`${origin}/${way}`, FILE_IN_CHUNKS] as const);
}

/** Begins a download and ends it in the midst. */
async function interrupt(page: Page, files: FileServer, how: string): Promise<void> {
  await page.evaluate(
    ([url, file]) => {
      const controller = new AbortController();
      Object.assign(window, { giveUp: () => { controller.abort(); } });
      void window.settle(window.frontdesk.store.prepare({ url, ...file }, { signal: controller.signal }));
    },
    [`${files.origin}/slow`, FILE_IN_CHUNKS] as const,
  );
  await expect.poll(() => files.log.length).toBeGreaterThan(7);
  if (how.endsWith('aborted')) await page.evaluate(() => { (window as unknown as { giveUp(): void }).giveUp(); });
  else if (how.endsWith('anew')) await page.reload();
  else if (how.endsWith('closed')) await page.close();
  else await page.goto('chrome://crash').catch(() => undefined);
}

/** A page that finds the file, which nobody writes to any more. */
async function eventually(opening: Promise<Page> | Page, site: Parameters<typeof openPage>[1], name: string): Promise<Page> {
  const page = await openPage(await opening, site);
  await expect.poll(() => page.evaluate(() => window.keptFiles())).toContain(name);
  await page.evaluate(async (sha256) => {
    await navigator.locks.request(`frontdesk-download:${sha256}`, () => undefined);
  }, FILE.sha256);
  return page;
}

function journal(page: Page): Promise<string> {
  return page.evaluate(async (name) => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models');
    return (await (await folder.getFileHandle(name)).getFile()).text();
  }, JOURNAL);
}

function verifiedChunks(text: string): number[] {
  return text.split('\n').flatMap((line) => (line.includes('"chunk":') ? [(JSON.parse(line) as { chunk: number }).chunk] : []));
}

function chunkOf(line: string): number {
  return Number(/bytes=(\d+)-/.exec(line)?.[1]) / CHUNK_BYTES;
}

async function overwrite(page: Page, name: string, position: number, data: string, { truncate = false } = {}): Promise<void> {
  await page.evaluate(
    async ([name, position, data, truncate]) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models');
      const writable = await (await folder.getFileHandle(name)).createWritable({ keepExistingData: !truncate });
      await writable.write({ type: 'write', position, data });
      await writable.close();
    },
    [name, position, data, truncate] as const,
  );
}

/** Puts a file of the same length there, as if it had been used at that time. */
async function keepFake(page: Page, sha256: string, lastUsedAt: number): Promise<string> {
  await page.evaluate(
    async ([sha256, lastUsedAt, bytes]) => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models');
      for (const [name, data] of [[`${sha256}.gguf`, new Uint8Array(bytes)], [`${sha256}.json`, JSON.stringify({ id: 'fake', lastUsedAt })]] as const) {
        const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
        await writable.write(data);
        await writable.close();
      }
    },
    [sha256, lastUsedAt, CONTENT.length] as const,
  );
  return sha256;
}

/** What the kept file really hashes to. */
function storedHash(page: Page): Promise<string> {
  return page.evaluate(async (sha256) => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models');
    const file = await (await folder.getFileHandle(`${sha256}.gguf`)).getFile();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }, FILE.sha256);
}
