/** Threads and module variants: same answers, quiet when idle, nothing left after `destroy`. */
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from '@playwright/test';
import type { ModuleVariant } from 'frontdesk';
import { createDesk, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';

const MODEL_BYTES = 98_362_432;

test('an isolated page gets threads, as many as it asks for', async ({ page, isolatedSite }) => {
  await openPage(page, isolatedSite);
  const before = await page.evaluate(() => window.frontdesk.Frontdesk.availability());
  expect(before.threads).toBe(await page.evaluate(() => Math.min(8, Math.max(Math.min(4, navigator.hardwareConcurrency), Math.floor(navigator.hardwareConcurrency / 2)))));
  for (const threads of [1, 3]) {
    const info = await createDesk(page, { modelBaseUrl: '/models', threads });
    expect(info).toMatchObject({ threads, variant: threads === 1 ? 'relaxed' : 'relaxed-threads' });
    await page.evaluate(() => window.desk.destroy());
  }
});

test('every variant gives the same answer', async ({ page, isolatedSite }) => {
  await openPage(page, isolatedSite);
  const variants: readonly ModuleVariant[] = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'];
  const answers = [];
  for (const moduleVariant of variants) {
    const info = await createDesk(page, { modelBaseUrl: '/models', moduleVariant });
    expect(info?.variant).toBe(moduleVariant);
    const ask = () => page.evaluate(([text, labels]) => window.desk.classify(text, { labels, mode: 'only_on_device' }), [TICKET, LABELS] as const);
    answers.push(await ask());
    await page.evaluate(() => window.desk.destroy());
  }
  const [simd, relaxed, simdThreads, relaxedThreads] = answers.map(({ probabilities }) => probabilities);
  // Threads share out the same sums.
  expect([simdThreads, relaxedThreads]).toEqual([simd, relaxed]);
  const [first, ...others] = answers;
  expect(first?.value).toBe('billing');
  for (const other of others) {
    expect(other.value).toBe(first?.value);
    // Fused and separate multiply-adds round differently, and 8-bit codes with them; no more than that differs.
    for (const [index, { probability }] of other.probabilities.entries()) {
      expect(Math.abs(probability - (first?.probabilities[index]?.probability ?? Number.NaN))).toBeLessThan(0.05);
    }
  }
});

test('a wish that is none is a typed error', async ({ page, isolatedSite }) => {
  await openPage(page, isolatedSite);
  for (const wish of [{ threads: 0 }, { threads: 1.5 }, { threads: 65 }, { moduleVariant: 'avx' as ModuleVariant }]) {
    const { error } = await page.evaluate((wish) => window.settle(window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models', ...wish })), wish);
    expect(error).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
  }
});

test('a thread variant on a page that is not isolated runs on one thread', async ({ page, site }) => {
  await openPage(page, site);
  const info = await createDesk(page, { modelBaseUrl: '/models', moduleVariant: 'relaxed-threads' });
  expect(info).toMatchObject({ variant: 'relaxed-threads', threads: 1 });
  await page.evaluate(() => window.desk.destroy());
});

test('idle threads use no processor', async ({ page, browser, isolatedSite }) => {
  await openPage(page, isolatedSite);
  await createDesk(page, { modelBaseUrl: '/models', threads: 4 });
  await page.evaluate(([text, labels]) => window.desk.classify(text, { labels, mode: 'only_on_device' }), [TICKET, LABELS] as const);
  await page.waitForTimeout(500);
  const before = await processes(browser);
  await page.waitForTimeout(2000);
  const used = (await processes(browser)).cpuSeconds - before.cpuSeconds;
  // Four threads that spin would use all cores; a quiet browser uses a few hundredths.
  expect(used).toBeLessThan(0.6);
  await page.evaluate(() => window.desk.destroy());
});

test('twenty desks made and destroyed leave nothing behind', async ({ page, browser, isolatedSite }) => {
  test.setTimeout(240_000);
  await openPage(page, isolatedSite);
  await openAndDestroy(page, 4);
  const early = (await processes(browser)).residentBytes;
  await openAndDestroy(page, 16);
  const late = (await processes(browser)).residentBytes;
  expect(late - early).toBeLessThan(MODEL_BYTES);
});

async function openAndDestroy(page: Page, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await createDesk(page, { modelBaseUrl: '/models', threads: 2 });
    await page.evaluate(() => window.desk.destroy());
  }
  // A worker's memory goes a moment after the worker.
  await page.waitForTimeout(1500);
}

/** What all of the browser's processes hold and have used. */
async function processes(browser: Browser): Promise<{ residentBytes: number; cpuSeconds: number }> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  let residentBytes = 0;
  for (const { id } of processInfo) {
    const pages = (await readFile(`/proc/${id}/statm`, 'utf8').catch(() => '0 0')).split(' ')[1];
    residentBytes += Number(pages) * 4096;
  }
  return { residentBytes, cpuSeconds: processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0) };
}
