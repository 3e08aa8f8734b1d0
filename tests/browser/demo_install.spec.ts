/** The demo as an installed page: the manifest, what is kept, and a new version that does not mix with the old one. */
import { join } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { expect, expectAccessible, firstAnswer, startDemo, test } from './demo_fixtures.ts';
import { keptOffline, withProfile } from './demo_offline.ts';
import { buildStatic, startStaticSite, type StaticSite } from './servers/static_site.ts';

async function expectInstallable(context: BrowserContext, url: string): Promise<void> {
  const page = await context.newPage();
  await page.goto(url);
  await firstAnswer(page);
  await keptOffline(page);
  const session = await context.newCDPSession(page);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors).toEqual([]);
  const { url: manifestUrl, errors, data } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  expect(manifestUrl).toBe(`${url}manifest.json`);
  const manifest = JSON.parse(data ?? '') as { start_url: string; scope: string; icons: { src: string; sizes: string }[] };
  expect([manifest.start_url, manifest.scope]).toEqual(['./', './']);
  for (const { src, sizes } of manifest.icons) {
    const size = await page.evaluate(async (address) => {
      const image = new Image();
      image.src = address;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, new URL(src, manifestUrl).href);
    if (sizes !== 'any') expect(size, src).toBe(sizes);
  }
}

test('can be installed from the demo server', async () => {
  const server = await startDemo({});
  try {
    await withProfile(async (launch) => expectInstallable(await launch(), `${server.origin}/`));
  } finally {
    await server.close();
  }
});

test.describe('from a static site', () => {
  let site: StaticSite;
  test.beforeEach(async () => {
    site = await startStaticSite();
  });
  test.afterEach(() => site.close());

  const kept = (page: Page) => page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url)))).flat());
  const versionOf = async (page: Page) => /v-[0-9a-f]{12}/.exec((await page.locator('head script').getAttribute('src')) ?? '')?.[0] ?? '';

  test('can be installed from there, below a path', async () => {
    await withProfile(async (launch) => expectInstallable(await launch(), site.url));
  });

  test('keeps the page and the one module that it will use, no text and no model', async ({ page }) => {
    await page.goto(site.url);
    await firstAnswer(page);
    await keptOffline(page);
    const urls = await kept(page);
    expect(urls.filter((url) => url.endsWith('.wasm'))).toEqual([expect.stringMatching(/\/frontdesk\/wasm\/relaxed-threads\/frontdesk_bg\.wasm$/)]);
    expect(urls.filter((url) => url.includes('/models/') || url.includes('/v1/'))).toEqual([]);
    for (const name of ['', 'config.json', 'manifest.json', 'icons/icon-192.png']) expect(urls).toContain(`${site.url}${name}`);
    for (const part of ['app.js', 'page.css', 'frontdesk/index.js', 'frontdesk/worker.js', 'frontdesk/thread_worker.js']) expect(urls.filter((url) => url.endsWith(`/${part}`)), part).toHaveLength(1);
  });

  test('a new version waits for the visitor, and old pages go on with old files', async ({ page }) => {
    await page.goto(site.url);
    await firstAnswer(page);
    await keptOffline(page);
    const old = await versionOf(page);
    const other = await page.context().newPage();
    await other.goto(site.url);
    await firstAnswer(other);
    const box = page.getByRole('textbox', { name: 'A message to sort' });
    await box.fill('My own words, which stay.');

    await buildStatic(site.folder, ['--backend', 'https://api.example.com/v1/chat/completions']);
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
    const notice = page.getByRole('status').filter({ hasText: 'A new version of this page is ready.' });
    await expect(notice).toBeVisible();
    await expectAccessible(page);
    await expect(box).toHaveValue('My own words, which stay.');
    expect(await versionOf(page)).toBe(old);
    // The host has the old files no more, and a part of the page that was never opened comes all the same.
    site.log.length = 0;
    await page.getByRole('tab', { name: 'Chat' }).click();
    await expect(page.getByRole('textbox', { name: 'Your message' })).toBeVisible();

    await notice.getByRole('button', { name: 'Open the new version' }).click();
    await expect.poll(() => versionOf(page)).not.toBe(old);
    await firstAnswer(page);
    await expect(notice).toHaveCount(0);
    const fresh = await versionOf(page);
    await page.getByRole('tab', { name: 'Chat' }).click();
    await expect(page.getByRole('textbox', { name: 'Your message' })).toBeVisible();

    // The other tab was not reloaded, and is whole.
    expect(await versionOf(other)).toBe(old);
    await other.getByRole('tab', { name: 'Teach' }).click();
    await expect(other.getByRole('textbox', { name: 'Rows to learn from' })).toBeVisible();
    expect(site.log.filter((request) => request.includes(old))).toEqual([]);
    const loaded = (tab: Page) => tab.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => /v-[0-9a-f]{12}/.exec(name)?.[0]).filter((name) => name !== undefined));
    expect(new Set(await loaded(page))).toEqual(new Set([fresh]));
    expect(new Set(await loaded(other))).toEqual(new Set([old]));
  });

  test('half an upload changes nothing', async ({ page }) => {
    await page.goto(site.url);
    await firstAnswer(page);
    await keptOffline(page);
    const before = (await kept(page)).toSorted();
    await buildStatic(site.folder, ['--no-isolation']);
    // The new worker is there, one of its files is not the one that it was made for.
    site.instead.set('icons/icon.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>');
    site.log.length = 0;
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update().catch(() => undefined));
    await expect.poll(() => site.log).toContain(`GET ${join('/some/path', 'icons/icon.svg')}`);
    await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.installing ?? null)).toBe(null);
    await expect.poll(async () => (await kept(page)).toSorted()).toEqual(before);
    await expect(page.getByText('A new version of this page is ready.')).toHaveCount(0);
    await page.reload();
    await firstAnswer(page);
  });
});
