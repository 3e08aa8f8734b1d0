/** Downloads: what is wrong is refused with a typed error and leaves nothing behind; what is right is kept. */
import type { Page } from '@playwright/test';
import type { Keeping } from 'frontdesk';
import { createDesk, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';
import { type Delivery, MADE_UP, REAL_MODEL } from './servers/models.ts';

const FAILURES: readonly { delivery: Delivery; code: string; details?: object }[] = [
  { delivery: 'flipped', code: 'hash_mismatch', details: { expected: MADE_UP.sha256 } },
  { delivery: 'short', code: 'length_mismatch', details: { expectedBytes: MADE_UP.bytes, receivedBytes: MADE_UP.bytes / 2 } },
  { delivery: 'long', code: 'length_mismatch', details: { expectedBytes: MADE_UP.bytes } },
  { delivery: 'cut', code: 'download_failed' },
  { delivery: 'missing', code: 'download_failed', details: { status: 404 } },
];

for (const { delivery, code, details = {} } of FAILURES) {
  test(`a download that arrives ${delivery} is refused and leaves nothing`, async ({ page, site }) => {
    await openPage(page, site);
    const { error } = await createMadeUp(page, delivery);
    expect(error).toMatchObject({ code, details, isFrontdeskError: true });
    expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
  });
}

test('a server that is not there is a failed download', async ({ page, site }) => {
  await openPage(page, site);
  await page.context().route('**/made-up/whole', (route) => route.abort('connectionrefused'));
  const { error } = await createMadeUp(page, 'whole');
  expect(error).toMatchObject({ code: 'download_failed', isFrontdeskError: true });
});

test('a file of the right hash that is no model is refused as such', async ({ page, site }) => {
  await openPage(page, site);
  const { error } = await createMadeUp(page, 'whole');
  expect(error).toMatchObject({ code: 'invalid_model', isFrontdeskError: true });
});

test('a device without room is told how much is needed, before anything is fetched', async ({ page, site }) => {
  await openPage(page, site);
  const session = await page.context().newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 1024 * 1024 });
  site.log.length = 0;
  const { error } = await createMadeUp(page, 'whole', { keep: 'required' });
  expect(error).toMatchObject({ code: 'storage_full', details: { neededBytes: MADE_UP.bytes, missingBytes: expect.any(Number) }, isFrontdeskError: true });
  expect(error?.details?.missingBytes).toBeGreaterThan(MADE_UP.bytes - 1024 * 1024);
  expect(error?.message).toContain(`${error?.details?.missingBytes} bytes are missing`);
  expect(site.log).not.toContain('GET /made-up/whole');
  expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
});

test('a device that fills up while the file arrives is told so, and nothing is left', async ({ page, site }) => {
  await openPage(page, site);
  const session = await page.context().newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 1024 * 1024 });
  // Without a length beforehand there is nothing to compare the quota with.
  const { error } = await createMadeUp(page, 'whole', { withLength: false, keep: 'required' });
  expect(error).toMatchObject({ code: 'storage_full', isFrontdeskError: true });
  expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
});

test('a device without room holds the model in memory, unless that is not wanted', async ({ page, site }) => {
  await openPage(page, site);
  const session = await page.context().newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 50_000_000 });
  const { settled, kept } = await page.evaluate(
    async ([text, labels]) => {
      window.desk = await window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models' });
      return { settled: await window.settle(window.desk.classify(text, { labels, threshold: 0 })), kept: await window.keptFiles() };
    },
    [TICKET, LABELS] as const,
  );
  const info = await page.evaluate(() => window.desk.info);
  expect(info).toMatchObject({ cached: false, warning: expect.stringMatching(/no room .* bytes are missing/) });
  expect(settled.value?.value).toBe('billing');
  expect(kept).toEqual([]);
});

test('half a file that an earlier visit left is removed', async ({ page, site }) => {
  await openPage(page, site);
  await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models', { create: true });
    await folder.getFileHandle('left-over.part', { create: true });
  });
  expect(await page.evaluate(() => window.keptFiles())).toEqual(['left-over.part']);
  await createMadeUp(page, 'flipped');
  expect(await page.evaluate(() => window.keptFiles())).toEqual([]);
});

test('a second visit loads from the device, without a request for the model', async ({ desk, site }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  const availability = await page.evaluate(() => window.frontdesk.Frontdesk.availability());
  expect(availability).toMatchObject({ status: 'available', threads: 1, reasons: [] });
  site.log.length = 0;
  desk.requests.length = 0;
  const info = await createDesk(page, { modelBaseUrl: '/models', share: false });
  expect(info).toMatchObject({ id: 'smollm2-135m-instruct', cached: true });
  expect(desk.requests.some((request) => request.endsWith('.wasm'))).toBe(true);
  expect(desk.requests.filter((request) => request.includes(REAL_MODEL))).toEqual([]);
  expect(site.log.filter((request) => request.includes(REAL_MODEL))).toEqual([]);
  await page.close();
});

for (const [what, bytes] of [['length', 9], ['content', MADE_UP.bytes]] as const) {
  test(`a kept file of the wrong ${what} is fetched again`, async ({ page, site }) => {
    await openPage(page, site);
    await page.evaluate(
      async ([sha256, bytes]) => {
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models', { create: true });
        const file = await folder.getFileHandle(`${sha256}.gguf`, { create: true });
        const writable = await file.createWritable();
        await writable.write(new Uint8Array(bytes));
        await writable.close();
      },
      [MADE_UP.sha256, bytes] as const,
    );
    site.log.length = 0;
    const { error } = await createMadeUp(page, 'whole');
    expect(site.log.filter((request) => request === 'GET /made-up/whole')).toHaveLength(1);
    expect(error).toMatchObject({ code: 'invalid_model' });
  });
}

test('a kept file that another tab has locked is read all the same', async ({ desk, site }) => {
  const context = desk.page.context();
  const lockingPage = await openPage(await context.newPage(), site);
  const locked = await lockingPage.evaluate(() => {
    const worker = new Worker('/lock_kept_file.js');
    return new Promise<number>((resolve) => {
      worker.onmessage = ({ data }) => {
        resolve(data as number);
      };
    });
  });
  expect(locked).toBe(1);
  const page = await openPage(await context.newPage(), site);
  site.log.length = 0;
  const info = await createDesk(page, { modelBaseUrl: '/models', share: false });
  expect(info).toMatchObject({ cached: true });
  expect(site.log.filter((request) => request.includes(REAL_MODEL))).toEqual([]);
  await page.close();
  await lockingPage.close();
});

test('without a private file system the model stays in memory, with a warning', async ({ page, site }) => {
  await openPage(page, site);
  const progress = await page.evaluate(async () => {
    const seen: { loaded: number; total: number }[] = [];
    window.desk = await window.frontdesk.Frontdesk.create({
      modelBaseUrl: '/models',
      workerUrl: '/worker_without_storage.js',
      monitor: (target) => {
        target.addEventListener('downloadprogress', (event) => {
          const { loaded, total } = event;
          seen.push({ loaded, total });
        });
      },
    });
    return seen;
  });
  expect(progress[0]).toEqual({ loaded: 0, total: 98_362_432 });
  expect(progress.at(-1)).toEqual({ loaded: 98_362_432, total: 98_362_432 });
  const { info, settled, kept } = await page.evaluate(
    async ([text, labels]) => ({
      info: window.desk.info,
      settled: await window.settle(window.desk.classify(text, { labels, threshold: 0 })),
      kept: await window.keptFiles(),
    }),
    [TICKET, LABELS] as const,
  );
  expect(info).toMatchObject({ cached: false, warning: expect.stringContaining('fetched again') });
  expect(settled.value?.value).toBe('billing');
  expect(kept).toEqual([]);
});

test('a desk that shall keep nothing needs no private file system, and warns of nothing', async ({ page, site }) => {
  await openPage(page, site);
  const info = await createDesk(page, { modelBaseUrl: '/models', workerUrl: '/worker_without_storage.js', keep: 'never' });
  expect(info).toMatchObject({ cached: false });
  expect(info?.warning).toBeUndefined();
  await page.evaluate(() => window.desk.destroy());
});

test('models that are not distributed, and models that do not exist, are refused', async ({ page, site }) => {
  await openPage(page, site);
  site.log.length = 0;
  for (const model of ['gemma3-270m', 'no-such-model']) {
    const { error } = await page.evaluate((model) => window.settle(window.frontdesk.Frontdesk.create({ model })), model);
    expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining(model) });
  }
  expect(site.log).toEqual([]);
});

/** Tries to make a desk of bytes that are no model; always fails, in one way or another. */
function createMadeUp(page: Page, delivery: Delivery, { withLength = true, keep }: { withLength?: boolean; keep?: Keeping } = {}) {
  return page.evaluate(
    ([url, sha256, bytes, keep]) =>
      window.settle(window.frontdesk.Frontdesk.create({ ...(keep && { keep }), model: { url, sha256, ...(bytes !== null && { bytes }) } }).then(() => undefined)),
    [`/made-up/${delivery}`, MADE_UP.sha256, withLength ? MADE_UP.bytes : null, keep] as const,
  );
}
