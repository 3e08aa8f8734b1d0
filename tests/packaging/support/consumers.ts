/** Opens a consumer's page in a fresh browser profile and holds it to what every page may expect. */
import { type Browser, expect, type Page, test as base } from '@playwright/test';
import type { ModelInfo } from 'frontdesk';
import { type Site, type SiteOptions, startSite } from './site.ts';

const ANSWER_MS = 60_000;

interface Answer extends ModelInfo {
  readonly value: string;
  readonly source: string;
}

export { expect } from '@playwright/test';

interface Fixtures {
  /** Serves a consumer, asks its page and checks all that it did; the page stays open until the test ends. */
  readonly answers: (options: SiteOptions) => Promise<{ page: Page; site: Site }>;
}

export const test = base.extend<Fixtures>({
  answers: async ({ browser }, use) => {
    const sites: Site[] = [];
    await use(async (options) => {
      const site = await startSite(options);
      sites.push(site);
      return { page: await openAndCheck(browser, site), site };
    });
    for (const site of sites) await site.close();
  },
});

async function openAndCheck(browser: Browser, site: Site): Promise<Page> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const requests: URL[] = [];
  const workers: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => requests.push(new URL(request.url())));
  page.on('worker', (worker) => workers.push(worker.url()));
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(site.url);
  const output = page.locator('output');
  await expect(async () => {
    if (complaints.length === 0) expect(await output.textContent()).not.toBe('');
  }).toPass({ timeout: ANSWER_MS });
  expect(complaints).toEqual([]);

  const { value, source, threads, variant } = JSON.parse((await output.textContent()) ?? '') as Answer;
  expect({ value, source }).toEqual({ value: 'billing', source: 'device' });
  if (site.isolated) expect(threads).toBeGreaterThan(1);
  else expect(threads).toBe(1);
  expect(variant.endsWith('-threads')).toBe(site.isolated);

  const { origin } = new URL(site.url);
  const ours = new RegExp(`^${origin}/`);
  for (const address of [...workers, ...requests.map(({ href }) => href)]) expect(address).toMatch(ours);
  expect(workers).toHaveLength(threads);
  // All came from the consumer's own files, but for the model.
  expect(site.absent).toEqual([]);
  const paths = requests.map(({ pathname }) => pathname);
  expect(new Set(paths.filter((path) => path.startsWith('/models/')))).toEqual(new Set(['/models/smollm2-135m-instruct.gguf']));
  expect(paths.filter((path) => path.endsWith('.wasm'))).toHaveLength(1);
  expect(site.refused).toEqual([]);
  return page;
}
