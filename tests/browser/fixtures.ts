/** What the browser tests share: sites, and one page with the real model loaded once for all. */
import { test as base, expect, type Page } from '@playwright/test';
import type { Classification, ClassifyOptions, CreateOptions, Frontdesk } from 'frontdesk';
import { type Site, startSite } from './servers/site.ts';
import { Upstream } from './servers/upstream.ts';

/** A real ticket and the labels it may get. */
export const TICKET = 'I was charged twice for my subscription. Please refund the second payment.';
export const LABELS = ['billing', 'technical problem', 'shipping', 'account access'];
/** What the backend answers unless a test says otherwise. */
export const CLOUD_LABEL = 'shipping';
/** Short, so that the tests of a hanging backend are. */
export const CLOUD_TIMEOUT_MS = 1500;

export interface DeskPage {
  readonly page: Page;
  /** `METHOD url` of every request of the page and its workers since the test began. */
  readonly requests: string[];
  classify(text: string, options: Omit<ClassifyOptions, 'signal' | 'onProgress'>): Promise<Settled<Classification>>;
}

interface WorkerFixtures {
  readonly site: Site;
  readonly isolatedSite: Site;
  readonly loadedDesk: { readonly page: Page; readonly requests: string[] };
}

interface TestFixtures {
  /** A page whose desk has the real model, made with mode `cascade`; the cloud is fresh for each test. */
  readonly desk: DeskPage;
  readonly upstream: Upstream;
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  site: [
    async ({}, use) => {
      const site = await startSite({ isolated: false });
      await use(site);
      await site.close();
    },
    { scope: 'worker' },
  ],
  isolatedSite: [
    async ({}, use) => {
      const site = await startSite({ isolated: true });
      await use(site);
      await site.close();
    },
    { scope: 'worker' },
  ],
  loadedDesk: [
    async ({ browser, site }, use) => {
      const context = await browser.newContext();
      const requests: string[] = [];
      context.on('request', (request) => requests.push(`${request.method()} ${request.url()}`));
      const page = await openPage(await context.newPage(), site);
      await createDesk(page, { modelBaseUrl: '/models' });
      await use({ page, requests });
      await context.close();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  upstream: async ({ site }, use) => {
    site.upstream.reset(CLOUD_LABEL);
    await use(site.upstream);
  },
  desk: async ({ loadedDesk, site, upstream }, use) => {
    const { page, requests } = loadedDesk;
    expect(upstream.bodies).toEqual([]);
    await freshCloud(page);
    requests.length = 0;
    site.log.length = 0;
    await use({
      page,
      requests,
      classify: (text, options) => page.evaluate(([text, options]) => window.settle(window.desk.classify(text, options)), [text, options] as const),
    });
  },
});

export { expect } from '@playwright/test';

/** Opens the empty page and waits for the SDK. */
export async function openPage(page: Page, site: Site): Promise<Page> {
  await page.goto(`${site.origin}/desk.html`);
  await page.locator('html[data-ready=yes]').waitFor();
  return page;
}

/** Makes the page's desk with the real model; its cloud is whatever `window.cloud` is at the time. */
export async function createDesk(page: Page, options: Omit<CreateOptions, 'cloud' | 'signal' | 'monitor'>): Promise<Frontdesk['info']> {
  await freshCloud(page);
  return page.evaluate(async (options) => {
    window.desk = await window.frontdesk.Frontdesk.create({
      ...options,
      cloud: {
        classify: (...call) => window.cloud.classify(...call),
        chat: (...call) => window.cloud.chat(...call),
        sizeOf: (request) => window.cloud.sizeOf?.(request) ?? 0,
      },
    });
    return window.desk.info;
  }, options);
}

async function freshCloud(page: Page): Promise<void> {
  await page.evaluate(
    ([url, timeoutMs]) => {
      window.cloud = window.frontdesk.openaiCompatible({ url, model: 'big-model', timeoutMs });
    },
    [Upstream.path, CLOUD_TIMEOUT_MS] as const,
  );
}

/** Requests that the backend's address received. */
export function toUpstream(requests: readonly string[]): string[] {
  return requests.filter((request) => request.endsWith(Upstream.path));
}

/** What a call in the page rejects with, as plain data. */
export async function failure<T>(page: Page, call: (argument: T) => Promise<Settled<unknown>>, argument: T): Promise<Settled<unknown>['error']> {
  const { error } = await page.evaluate(call as (argument: unknown) => Promise<Settled<unknown>>, argument);
  return error;
}

/**
 * Gives the tests of a suite one page, in turn, whose desk can learn; `use` is told of it and of the URLs that it
 * will ask for.
 */
export function onLearningPage(use: (page: Page, requests: string[]) => Promise<void> | void): void {
  test.describe.configure({ mode: 'serial' });
  let page: Page;
  test.beforeAll(async ({ browser, site }) => {
    page = await openPage(await (await browser.newContext()).newPage(), site);
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'cascade' });
    await use(page, requests);
  });
  test.afterAll(async () => {
    await page.context().close();
  });
}
