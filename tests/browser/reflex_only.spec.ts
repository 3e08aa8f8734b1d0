/** A desk without a language model: its tasks answer, and what takes a language model says so and sends nothing. */
import type { Page } from '@playwright/test';
import { createDesk, expect, failure, LABELS, openPage, test, toUpstream } from './fixtures.ts';
import { LEARNT } from './task_examples.ts';

test.describe('a desk without a language model', () => {
  test.describe.configure({ mode: 'serial' });
  let page: Page;
  const requests: string[] = [];
  test.beforeAll(async ({ browser, site }) => {
    page = await openPage(await (await browser.newContext()).newPage(), site);
    page.context().on('request', (request) => requests.push(request.url()));
  });
  test.afterAll(async () => {
    await page.context().close();
  });

  test('fetches its reflex alone, and says that this is what it has', async ({ site }) => {
    const info = await createDesk(page, { model: null, reflex: 'minilm-l6', modelBaseUrl: '/models', mode: 'cascade' });
    expect(info).toMatchObject({ id: 'minilm-l6', backend: 'wasm', contextTokens: 256, cached: true, reflex: { id: 'minilm-l6', dimensions: 384 } });
    // Its file alone is 25 MB, and the language model would add a hundred.
    expect(info?.memoryBytes).toBeGreaterThan(20e6);
    expect(info?.memoryBytes).toBeLessThan(90e6);
    expect(new Set(requests.filter((url) => url.endsWith('.gguf')))).toEqual(new Set([`${site.origin}/models/minilm-l6.gguf`]));
  });

  test('answers by a task, in the name of the reflex, and embeds', async () => {
    const answer = await page.evaluate(async (examples) => {
      await window.desk.task('tickets').learn(examples);
      return window.desk.classify('Why was I billed two times?', { task: 'tickets', threshold: 0 });
    }, LEARNT);
    expect(answer).toMatchObject({ value: 'billing_problem', source: 'device', reason: 'confident', model: { id: 'minilm-l6' } });
    expect(await page.evaluate(async () => (await window.desk.embed(['a word'])).embeddings.length)).toBe(1);
  });

  test('refuses what takes a language model, and does not send it instead', async () => {
    const refused = { code: 'invalid_input', message: 'this desk was made without a language model' };
    for (const mode of ['only_on_device', 'prefer_on_device', 'cascade'] as const) {
      expect(await failure(page, ([labels, mode]) => window.settle(window.desk.classify('Hello', { labels, mode })), [LABELS, mode] as const)).toMatchObject(refused);
    }
    expect(await failure(page, (messages) => window.settle(window.desk.chat.completions.create({ messages })), [{ role: 'user', content: 'Hello' } as const])).toMatchObject(refused);
    expect(toUpstream(requests)).toEqual([]);
  });

  test('asks the cloud where a mode says so', async ({ upstream }) => {
    const answer = await page.evaluate((labels) => window.desk.classify('Hello', { labels, mode: 'only_in_cloud' }), LABELS);
    expect(answer).toMatchObject({ source: 'cloud', reason: 'cloud_only', value: 'shipping' });
    expect(upstream.bodies).toHaveLength(1);
  });

  test('cannot be made without a reflex either', async () => {
    const make = (reflex: null) => window.settle(window.frontdesk.Frontdesk.create({ model: reflex }));
    expect(await failure(page, make, null)).toMatchObject({ code: 'invalid_input', message: 'a desk without a language model needs a reflex' });
  });
});
