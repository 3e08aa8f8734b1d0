/** The demo as a static site below a path of a host that sends no headers: isolation by its service worker, its settings, its builder. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { answer, expect, expectAccessible, fact, firstAnswer, openFacts, ready, setThreshold, startLanguageModel, test, useOtherLabels } from './demo_fixtures.ts';
import { keptOffline, wholeAnswer } from './demo_offline.ts';
import { buildStatic, startListener, startStaticSite, type StaticSite } from './servers/static_site.ts';
import { Upstream } from './servers/upstream.ts';

const NOWHERE = { FRONTDESK_CACHE: '/nowhere' };

test.describe('on a plain host', () => {
  let site: StaticSite;
  test.beforeAll(async () => {
    site = await startStaticSite();
  });
  test.afterAll(() => site.close());

  test('decides at once with one thread, and offers more without a surprise', async ({ page }) => {
    await page.goto(site.url);
    await firstAnswer(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await page.getByRole('textbox', { name: 'A message to sort' }).fill('My own words, which stay.');
    await keptOffline(page);
    // The service worker has taken over, and the page is still the same.
    await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
    await expect(page.getByRole('textbox', { name: 'A message to sort' })).toHaveValue('My own words, which stay.');
    await openFacts(page);
    await expect(page.getByText('The models get one thread on this visit, because the host does not send')).toBeVisible();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Open again now' }).click();
    await expect.poll(() => page.evaluate(() => crossOriginIsolated)).toBe(true);
    await firstAnswer(page);
    await openFacts(page);
    await expect(fact(page, 'It runs on')).toContainText(/CPU, [2-9]\d* threads/);
    await page.keyboard.press('Escape');
    await startLanguageModel(page);
    await ready(page);
    await useOtherLabels(page);
    await wholeAnswer(page);
    await openFacts(page);
    await expect(fact(page, 'Runs on')).toContainText(/CPU, [2-9]\d* threads/);
    // Everything is below the path, and nothing but the site's own was asked for.
    expect(site.log.filter((request) => !request.startsWith('GET /some/path/'))).toEqual([]);
  });

  test('goes on without a back office where its settings cannot be read, and says so', async ({ page }) => {
    for (const [text, isTold] of [['{ "upstream": tr', true], ['[]', true], ['{"upstream":true,"upstreamUrl":"javascript:alert(1)","model":{"id":"smollm2-135m-instruct","bytes":1},"reflex":{"id":"minilm-l6","bytes":1}}', true], [undefined, false]] as const) {
      site.instead.set('config.json', text);
      await page.goto(site.url);
      await firstAnswer(page);
      await expect(page.getByRole('alert').filter({ hasText: 'The settings of this page cannot be read.' })).toHaveCount(isTold ? 1 : 0);
      await expect(page.getByRole('radio', { name: 'Only back office' })).toBeDisabled();
      await expectAccessible(page);
    }
    site.instead.clear();
  });

  test('where the service worker cannot be kept, the page works all the same', async ({ page }) => {
    // As in the midst of an upload: a file of another version.
    site.instead.set('manifest.json', '{}');
    site.log.length = 0;
    await page.goto(site.url);
    await firstAnswer(page);
    await expect.poll(() => site.log).toContain('GET /some/path/manifest.json');
    await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length)).toBe(0);
    await expect.poll(() => page.evaluate(() => caches.keys())).toEqual([]);
    await answer(page);
    site.instead.clear();
  });
});

test('built without isolation it stays without, and says so', async ({ page }) => {
  const site = await startStaticSite({ options: ['--no-isolation'] });
  try {
    await page.goto(site.url);
    await firstAnswer(page);
    await keptOffline(page);
    await page.reload();
    await firstAnswer(page);
    expect(await page.evaluate(() => [crossOriginIsolated, navigator.serviceWorker.controller !== null])).toEqual([false, true]);
    await openFacts(page);
    await expect(page.getByText('This site was built without cross-origin isolation, so the models get one thread.')).toBeVisible();
  } finally {
    await site.close();
  }
});

test('asks the back office that it was built for, from its isolated page too', async ({ page }) => {
  const upstream = new Upstream();
  upstream.reset('delivery');
  const office = await startListener({
    answer: (request, response) => {
      for (const name of ['access-control-allow-origin', 'access-control-allow-headers']) response.setHeader(name, '*');
      if (request.method === 'OPTIONS') response.writeHead(204).end();
      else void upstream.handle(request, response);
    },
  });
  const site = await startStaticSite({ options: ['--backend', `${office.origin}${Upstream.path}`] });
  try {
    await page.goto(site.url);
    await firstAnswer(page);
    await keptOffline(page);
    await page.getByRole('radio', { name: 'Only back office' }).check();
    await page.reload();
    await firstAnswer(page);
    // The first sample was answered without being asked for, so it has not left, whatever the mode.
    expect(upstream.bodies).toEqual([]);
    await page.getByRole('radio', { name: 'Ask when unsure' }).check();
    await setThreshold(page, 1);
    await answer(page);
    await expect(page.getByTestId('answer-value')).toHaveText('delivery');
    await expect(page.getByTestId('ledger-row')).toHaveCount(1);
    await expect(page.getByTestId('byte-counter')).toContainText(`${Buffer.byteLength(upstream.bodies[0] ?? '')} bytes left`);
    await expect(page.getByTestId('byte-counter')).toContainText('1 request with your text');
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  } finally {
    await site.close();
    await office.close();
  }
});

test.describe('the builder', () => {
  let folder: string;
  test.beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'frontdesk-site-'));
  });
  test.afterEach(() => rm(folder, { recursive: true, force: true }));

  const failure = (promise: Promise<unknown>) => promise.then(() => 'no failure', (error: { stderr?: string }) => error.stderr ?? '');

  test('touches no folder that is not its own', async () => {
    await writeFile(join(folder, 'letter.txt'), 'mine');
    expect(await failure(buildStatic(folder))).toContain('was not made by this program, so nothing in it was touched');
    expect(await readdir(folder)).toEqual(['letter.txt']);
  });

  test('replaces what it has made, and leaves what others have added', async () => {
    await buildStatic(folder);
    const before = (await readdir(folder)).filter((name) => name.startsWith('v-'));
    await writeFile(join(folder, 'CNAME'), 'example.com');
    expect(await buildStatic(folder, ['--no-isolation'])).toContain('threads: one');
    const after = (await readdir(folder)).filter((name) => name.startsWith('v-'));
    expect(after).toHaveLength(1);
    expect(after).not.toEqual(before);
    expect(await readFile(join(folder, 'CNAME'), 'utf8')).toBe('example.com');
    // Nothing outside of its folder, whatever its own list says.
    const outside = `${folder}-outside`;
    await writeFile(outside, 'still here');
    await writeFile(join(folder, '.frontdesk-site'), `../${basename(outside)}\n${outside}\n`);
    await buildStatic(folder);
    expect(await readFile(outside, 'utf8')).toBe('still here');
    await rm(outside);
  });

  test('a failure leaves the site before as it was', async () => {
    await buildStatic(folder);
    const before = await readdir(folder, { recursive: true });
    expect(await failure(buildStatic(folder, [], NOWHERE))).toContain('is missing. models/fetch.py smollm2-135m-instruct fetches it.');
    expect(await readdir(folder, { recursive: true })).toEqual(before);
  });

  test('refuses a back office that the page could not ask', async () => {
    for (const [address, words] of [['http://api.example.com/v1', 'wants https'], ['https://me:secret@api.example.com/v1', 'must not hold a name or a password'], ['nonsense', 'wants an http(s) address']] as const) {
      expect(await failure(buildStatic(folder, ['--backend', address]))).toContain(words);
    }
    expect(await readdir(folder)).toEqual([]);
  });
});
