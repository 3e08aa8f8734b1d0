/** The demo's Content-Security-Policy, really: nothing of the page or its workers reaches another origin. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from '@playwright/test';
import { expect, firstAnswer, startDemo, test } from './demo_fixtures.ts';
import { keptOffline } from './demo_offline.ts';
import { startListener, startStaticSite, type Listener } from './servers/static_site.ts';

let listener: Listener;
test.beforeAll(async () => {
  listener = await startListener();
});
test.afterAll(() => listener.close());
test.beforeEach(() => {
  listener.log.length = 0;
});

/** Tries to send something away, in all the ways that need no user; gives what came of each. */
const TRY = async (origin: string): Promise<string[]> => {
  const said = (promise: Promise<unknown>) =>
    promise.then(
      () => 'sent',
      (error: unknown) => (error instanceof Error ? error.name : 'refused'),
    );
  const results = [await said(fetch(`${origin}/fetch`)), await said(fetch(`${origin}/no-cors`, { mode: 'no-cors', method: 'POST', body: 'text' })), await said(import(`${origin}/script.js`))];
  if (typeof document !== 'undefined') {
    const image = new Image();
    const loaded = new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => {
        reject(new TypeError('refused'));
      };
    });
    image.src = `${origin}/image.png`;
    results.push(await said(loaded));
    navigator.sendBeacon(`${origin}/beacon`, 'text');
  }
  return results;
};

async function expectSilence(page: Page): Promise<void> {
  expect(await page.evaluate(TRY, listener.origin)).toEqual(['TypeError', 'TypeError', 'TypeError', 'TypeError']);
  expect(listener.log).toEqual([]);
}

/** The SDK's own worker, which sees the text. */
async function expectSilentWorker(page: Page): Promise<void> {
  const worker = page.workers().find((found) => found.url().endsWith('/frontdesk/worker.js'));
  if (worker === undefined) throw new Error('there is no worker');
  expect(await worker.evaluate(TRY, listener.origin)).toEqual(['TypeError', 'TypeError', 'TypeError']);
  expect(listener.log).toEqual([]);
}

async function expectNoInlineScript(page: Page): Promise<void> {
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'document.documentElement.dataset.inline = "ran"';
    document.head.append(script);
    return document.documentElement.dataset.inline ?? 'refused';
  });
  expect(ran).toBe('refused');
}

/** As the static site's builder writes it. */
async function writtenPolicy(): Promise<string> {
  const builder = (await import(pathToFileURL(join(import.meta.dirname, '../../www/demo/building/policy.mjs')).href)) as { contentSecurityPolicy: () => string };
  return builder.contentSecurityPolicy();
}

test('a page without a policy is heard', async ({ page }) => {
  // Else the silence of the others would say nothing.
  const other = await startListener();
  try {
    await page.goto(other.origin);
    expect((await page.evaluate(TRY, listener.origin)).slice(0, 2)).toEqual(['sent', 'sent']);
    await expect.poll(() => listener.log.toSorted()).toEqual(['GET /fetch', 'GET /image.png', 'GET /script.js', 'POST /beacon', 'POST /no-cors']);
  } finally {
    await other.close();
  }
});

test('of the demo server', async ({ page }) => {
  const server = await startDemo({});
  try {
    const response = await page.goto(server.origin);
    expect(response?.headers()['content-security-policy']).toBe(await writtenPolicy());
    await firstAnswer(page);
    await expectSilence(page);
    await expectSilentWorker(page);
    await expectNoInlineScript(page);
  } finally {
    await server.close();
  }
});

test('of the static site: by the page itself, and with the service worker for workers too', async ({ page }) => {
  const site = await startStaticSite();
  try {
    const refused: string[] = [];
    page.on('console', (message) => message.type() === 'error' && refused.push(message.text()));
    await page.goto(site.url);
    await firstAnswer(page);
    // The page itself needs nothing that is refused, and no directive that a <meta> cannot have.
    expect(refused).toEqual([]);
    await expectSilence(page);
    await expectNoInlineScript(page);
    await keptOffline(page);
    await page.reload();
    await firstAnswer(page);
    await expectSilence(page);
    await expectSilentWorker(page);
    await expectNoInlineScript(page);

    // One policy, in both places.
    const inPage = await page.locator('meta[http-equiv=Content-Security-Policy]').getAttribute('content');
    const answered = await page.evaluate(async () => (await fetch('./')).headers.get('content-security-policy'));
    expect(answered).toBeNull();
    const workerPolicy = await page.evaluate(async (path) => (await fetch(path)).headers.get('content-security-policy'), page.workers()[0]?.url() ?? '');
    expect(workerPolicy).toBe(`${inPage}; frame-ancestors 'none'`);
    expect(inPage).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
  } finally {
    await site.close();
  }
});

test('of a static site with a back office: that one, and no other', async ({ page }) => {
  const office = await startListener();
  const site = await startStaticSite({ options: ['--backend', `${office.origin}/v1/chat/completions`] });
  try {
    await page.goto(site.url);
    await firstAnswer(page);
    await expectSilence(page);
    expect(await page.evaluate(async (origin) => (await fetch(origin)).text(), office.origin)).toBe('heard');
  } finally {
    await site.close();
    await office.close();
  }
});
