/** What the demo's service worker does when hosts and versions behave badly: superseded versions, failed installs, stalled settings, sites that are gone. */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { expect, expectAccessible, firstAnswer, test } from './demo_fixtures.ts';
import { keptOffline } from './demo_offline.ts';
import { buildStatic, startStaticSite, type StaticSite } from './servers/static_site.ts';

let site: StaticSite;
test.beforeEach(async () => {
  site = await startStaticSite();
});
test.afterEach(() => site.close());

const VERSION = /v-[0-9a-f]{12}/;
const OFFICE = 'https://api.example.com/v1/chat/completions';

async function visitOnce(page: Page): Promise<void> {
  await page.goto(site.url);
  await firstAnswer(page);
  await keptOffline(page);
}

async function versionOf(page: Page): Promise<string> {
  return VERSION.exec((await page.locator('head script').getAttribute('src')) ?? '')?.[0] ?? '';
}

/** The folder of the version that the host has now. */
async function versionOfHost(): Promise<string> {
  return VERSION.exec(await readFile(join(site.folder, 'index.html'), 'utf8'))?.[0] ?? '';
}

async function keptVersions(page: Page): Promise<readonly string[]> {
  const names = await page.evaluate(() => caches.keys());
  return names.flatMap((name) => VERSION.exec(name)?.[0] ?? []).toSorted();
}

async function keptFiles(page: Page): Promise<readonly string[]> {
  return page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => `${name} ${url}`)))).flat().sort());
}

/** Builds another version and waits until it is kept, and waits for the visitor. */
async function publish(page: Page, options: readonly string[]): Promise<string> {
  await buildStatic(site.folder, options);
  const version = await versionOfHost();
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
  await expect.poll(() => keptVersions(page)).toContain(version);
  await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.installing ?? null)).toBe(null);
  await expect(page.getByText('A new version of this page is ready.')).toBeVisible();
  return version;
}

test('a version that never got its turn goes, the one that an open tab has begun with stays', async ({ page }) => {
  await visitOnce(page);
  const first = await versionOf(page);
  const other = await page.context().newPage();
  await other.goto(site.url);
  await firstAnswer(other);

  const second = await publish(page, ['--backend', OFFICE]);
  const third = await publish(page, ['--backend', 'https://other.example.com/v1/chat/completions']);
  expect(new Set([first, second, third]).size).toBe(3);
  site.log.length = 0;
  await page.getByRole('button', { name: 'Open the new version' }).click();
  await expect.poll(() => versionOf(page)).toBe(third);
  await firstAnswer(page);
  await expect.poll(() => keptVersions(page)).toEqual([first, third].toSorted());

  // Was not reloaded, and opens a part of the page that it has not opened before.
  expect(await versionOf(other)).toBe(first);
  await other.getByRole('tab', { name: 'Teach' }).click();
  await expect(other.getByRole('textbox', { name: 'Rows to learn from' })).toBeVisible();
  expect(site.log.filter((request) => request.includes(first))).toEqual([]);
});

test('where the same version is kept once more and that fails, what is in use stays', async ({ page }) => {
  await visitOnce(page);
  const before = await keptFiles(page);
  expect(before.length).toBeGreaterThan(10);
  // Another script, the same files; one of them comes wrong.
  await appendFile(join(site.folder, 'sw.js'), '\n// changed on the way\n');
  site.instead.set('icons/icon.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>');
  site.log.length = 0;
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update().catch(() => undefined));
  await expect.poll(() => site.log).toContain('GET /some/path/icons/icon.svg');
  await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.installing ?? null)).toBe(null);
  expect(await keptFiles(page)).toEqual(before);
});

test.describe('settings', () => {
  const officeChoice = (page: Page) => page.getByRole('radio', { name: 'Only back office' });

  /** The host says from now on that there is a back office. */
  async function setUpOffice(): Promise<void> {
    const path = join(site.folder, 'config.json');
    const settings = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...settings, upstream: true, upstreamHost: 'api.example.com', upstreamUrl: OFFICE }));
  }

  const keptSettings = (page: Page) => page.evaluate(async () => (await caches.match(new URL('config.json', location.href)))?.text());

  test('that do not come are taken from the visit before, and kept when they come after all', async ({ page }) => {
    await visitOnce(page);
    await setUpOffice();
    const text = await readFile(join(site.folder, 'config.json'), 'utf8');
    let letGo = (): void => undefined;
    // The connection stops in the middle of the answer.
    site.strange.set('config.json', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).write(text.slice(0, 9));
      letGo = () => response.end(text.slice(9));
    });
    await page.reload();
    await firstAnswer(page);
    await expect(officeChoice(page)).toBeDisabled();
    letGo();
    await expect.poll(() => keptSettings(page)).toContain('api.example.com');
    await page.reload();
    await firstAnswer(page);
    await expect(officeChoice(page)).toBeEnabled();
    letGo();
  });

  test('that may not be kept count all the same', async ({ page }) => {
    await visitOnce(page);
    await setUpOffice();
    const text = await readFile(join(site.folder, 'config.json'), 'utf8');
    site.strange.set('config.json', (_, response) => response.writeHead(200, { 'content-type': 'application/json', vary: '*' }).end(text));
    await page.reload();
    await firstAnswer(page);
    await expect(officeChoice(page)).toBeEnabled();
  });

  test('that do not come on the first visit are waited for in words', async ({ page }) => {
    let letGo = (): void => undefined;
    const text = await readFile(join(site.folder, 'config.json'), 'utf8');
    site.strange.set('config.json', (_, response) => (letGo = () => response.end(text)));
    await page.goto(site.url);
    await expect(page.getByRole('status')).toHaveText('The connection is slow: this page waits for its settings.');
    await expectAccessible(page);
    letGo();
    await firstAnswer(page);
    await expect(page.getByText('The connection is slow')).toHaveCount(0);
  });
});

test.describe('on a later visit', () => {
  const registrations = (page: Page) => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
  const status =
    (code: number): RequestListener =>
    (_, response) =>
      response.writeHead(code).end();
  const moved: RequestListener = (_, response) => response.writeHead(302, { location: '/elsewhere/' }).end();

  for (const { what, answer } of [
    { what: 'was taken away (404)', answer: status(404) },
    { what: 'was taken away for good (410)', answer: status(410) },
    { what: 'has moved', answer: moved },
  ]) {
    test(`a site that ${what} is not kept any longer`, async ({ page }) => {
      await visitOnce(page);
      expect(await registrations(page)).toBe(1);
      site.strange.set('', answer);
      await page.reload();
      await expect.poll(() => registrations(page)).toBe(0);
      await expect.poll(() => page.evaluate(() => caches.keys())).toEqual([]);
    });
  }

  for (const { what, answer } of [
    { what: 'is in trouble (503)', answer: status(503) },
    { what: 'cannot be reached', answer: (({ socket }) => socket.destroy()) as RequestListener },
  ]) {
    test(`a site that ${what} is kept`, async ({ page }) => {
      await visitOnce(page);
      const before = await keptFiles(page);
      site.strange.set('', answer);
      site.log.length = 0;
      await page.reload();
      await firstAnswer(page);
      await expect.poll(() => site.log).toContain('GET /some/path/');
      // The answer has been dealt with when the settings of a second visit are there.
      await page.reload();
      await firstAnswer(page);
      expect(await registrations(page)).toBe(1);
      expect(await keptFiles(page)).toEqual(before);
    });
  }

  test('a site whose page is always reached by a redirect is kept', async ({ page }) => {
    site.strange.set('', (_, response) => response.writeHead(302, { location: '/some/path/index.html' }).end());
    await visitOnce(page);
    const before = await keptFiles(page);
    site.log.length = 0;
    await page.goto(site.url);
    await firstAnswer(page);
    await expect.poll(() => site.log).toContain('GET /some/path/');
    await page.goto(site.url);
    await firstAnswer(page);
    expect(await registrations(page)).toBe(1);
    expect(await keptFiles(page)).toEqual(before);
  });
});
