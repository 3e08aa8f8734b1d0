/** The demo without a network: opened by its service worker alone, it decides, chats and teaches, and nothing leaves. */
import type { BrowserContext, Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, answer, counter, expect, expectAccessible, firstAnswer, ready, startDemo, startLanguageModel, test, useOtherLabels } from './demo_fixtures.ts';
import { keptOffline, wholeAnswer, withProfile } from './demo_offline.ts';
import { startListener, startStaticSite } from './servers/static_site.ts';

/** Everything that a page asked for, its workers and its service worker too. */
function record(context: BrowserContext): string[] {
  const requests: string[] = [];
  context.on('request', (request) => requests.push(`${request.method()} ${request.url()}`));
  return requests;
}

/** A first visit, which leaves both models, the page and nothing else on the device. */
async function visitOnce(context: BrowserContext, url: string): Promise<void> {
  const page = await context.newPage();
  await page.goto(url);
  await firstAnswer(page);
  await startLanguageModel(page);
  await ready(page);
  await keptOffline(page);
  await page.close();
}

async function doEverything(page: Page): Promise<void> {
  await firstAnswer(page);
  await expect(page.getByTestId('answer-value')).toHaveText('billing');
  await page.getByRole('button', { name: 'Parcel missing' }).click();
  await answer(page);
  await expect(page.getByTestId('answer-value')).toHaveText('delivery');
  await ready(page);
  await useOtherLabels(page);
  await wholeAnswer(page);

  await page.getByRole('tab', { name: 'Chat' }).click();
  await page.getByRole('textbox', { name: 'Your message' }).fill('Say hello.');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('chat-source')).toContainText('Nothing left this device.', { timeout: ANSWER_TIMEOUT_MS });

  await page.getByRole('tab', { name: 'Teach' }).click();
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await page.getByRole('button', { name: 'Learn', exact: true }).click();
  await expect(page.getByTestId('teach-said')).toContainText('Learnt from 60 rows.', { timeout: ANSWER_TIMEOUT_MS });
  await expect(counter(page)).toContainText('0 bytes left this device');
  await expect(counter(page)).toContainText('0 requests with your text');
}

/** What the page may try: its own files, which the service worker answers, and its settings. */
function expectOwnFilesOnly(requests: readonly string[], url: string): void {
  const strange = requests.filter((request) => !request.startsWith(`GET ${url}`) || request.includes('/models/') || request.includes('/v1/'));
  expect(strange).toEqual([]);
}

for (const [name, start] of [
  ['the demo server', async () => ({ ...(await startDemo({})), log: undefined })],
  ['a static site', async () => startStaticSite()],
] as const) {
  test(`airplane mode, after one visit to ${name}`, async ({ browser }) => {
    const host = await start();
    const url = 'url' in host ? host.url : `${host.origin}/`;
    const context = await browser.newContext();
    try {
      await visitOnce(context, url);
      await context.setOffline(true);
      const requests = record(context);
      host.log?.splice(0);
      const page = await context.newPage();
      await page.goto(url);
      await expect(page.getByText('You are offline.')).toBeVisible();
      await doEverything(page);
      await page.getByRole('tab', { name: 'Decide' }).click();
      await expectAccessible(page);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      expect(requests.length).toBeGreaterThan(5);
      expectOwnFilesOnly(requests, url);
      // The browser itself looks for a new service worker, past the emulation; that carries nothing.
      if (host.log) expect(host.log.filter((request) => request !== 'GET /some/path/sw.js')).toEqual([]);
    } finally {
      await context.close();
      await host.close();
    }
  });
}

test('the host is gone: the browser starts anew, and only page and settings are looked for', async () => {
  const site = await startStaticSite();
  try {
    await withProfile(async (launch) => {
      await visitOnce(await launch(), site.url);
      const context = await launch();
      await site.stop();
      // Whatever comes to the same address now is written down and not answered.
      const deaf = await startListener({ port: Number(new URL(site.origin).port), answer: ({ socket }) => socket.destroy() });
      try {
        const requests = record(context);
        const page = await context.newPage();
        await page.goto(site.url);
        await doEverything(page);
        expectOwnFilesOnly(requests, site.url);
        expect(deaf.log).toContain('GET /some/path/config.json');
        expect(deaf.log.filter((request) => !['GET /some/path/', 'GET /some/path/config.json', 'GET /some/path/sw.js'].includes(request))).toEqual([]);
      } finally {
        await deaf.close();
      }
    });
  } finally {
    await site.close();
  }
});
