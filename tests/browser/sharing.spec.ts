/** One engine for all tabs: a second tab loads nothing, and when the tab that has the engine goes, another takes over. */
import type { Page } from '@playwright/test';
import type { CreateOptions } from 'frontdesk';
import { test } from './file_fixtures.ts';
import { createDesk, expect, LABELS, openPage, TICKET } from './fixtures.ts';
import { FILE_IN_CHUNKS } from './servers/hostile_files.ts';
import type { Site } from './servers/site.ts';

const OPTIONS = { modelBaseUrl: '/models', mode: 'only_on_device' } as const;
const LONG_TEXT = 'The printer on the second floor prints blank pages again and nobody knows why. '.repeat(60);
/** Longer than a test may take. */
const STORY = { messages: [{ role: 'user', content: 'Write a long story about a lighthouse.' }], max_tokens: 1900, stream: true } as const;

test('a second tab asks for no module and no model, and gets the same answers', async ({ page, site }) => {
  const [first, second] = await twoTabs(page, site);
  const requests: string[] = [];
  second.on('request', (request) => requests.push(request.url()));
  const info = await createDesk(second, OPTIONS);
  expect(info).toEqual(await first.evaluate(() => window.desk.info));
  const answers = await Promise.all([classify(first), classify(second)]);
  expect(answers.map(({ value }) => value?.value)).toEqual(['billing', 'billing']);
  expect(requests.filter((url) => /\.wasm|\.gguf/.test(url))).toEqual([]);
  expect(requests.filter((url) => url.endsWith('/worker.js'))).toHaveLength(1);
});

test('a desk that will not share, or wants other settings, has an engine of its own', async ({ page, site }) => {
  const [, second] = await twoTabs(page, site);
  const variants: readonly Partial<CreateOptions>[] = [{ share: false }, { contextTokens: 512 }];
  for (const options of variants) {
    const modules: string[] = [];
    second.on('request', (request) => modules.push(request.url()));
    await createDesk(second, { ...OPTIONS, ...options });
    expect(modules.filter((url) => url.endsWith('.wasm'))).toHaveLength(1);
    expect((await classify(second)).value?.value).toBe('billing');
    await second.evaluate(() => window.desk.destroy());
  }
});

test('a clone is a desk of its own with the same engine, and no looser than the first', async ({ page, site }) => {
  await openPage(page, site);
  await createDesk(page, OPTIONS);
  const modules: string[] = [];
  page.on('request', (request) => modules.push(request.url()));
  const { value, loose, looser, late } = await page.evaluate(
    async ([text, labels]) => {
      const clone = await window.desk.clone();
      await window.desk.destroy();
      const { value } = await clone.classify(text, { labels });
      const loose = [];
      for (const mode of ['cascade', null]) loose.push((await window.settle(clone.clone({ mode } as never))).error?.code);
      const same = await clone.clone({ mode: undefined } as never);
      const looser = await window.settle(same.classify(text, { labels, mode: 'cascade' }));
      await same.destroy();
      await clone.destroy();
      return { value, loose, looser, late: await window.settle(clone.clone()) };
    },
    [TICKET, LABELS] as const,
  );
  expect(value).toBe('billing');
  expect(loose).toEqual(['invalid_input', 'invalid_input']);
  // What is left out leaves the mode as it is.
  expect(looser.error).toMatchObject({ code: 'invalid_input' });
  expect(late.error).toMatchObject({ code: 'destroyed' });
  // The engine of the first desk went with it; the clone had asked for none until then.
  expect(modules.filter((url) => url.endsWith('.wasm'))).toHaveLength(1);
});

for (const how of ['closes', 'is loaded anew', 'destroys its desk', 'crashes'] as const) {
  test(`when the tab that has the engine ${how}, calls of another are answered all the same`, async ({ page, site }) => {
    const [first, second] = await twoTabs(page, site);
    await createDesk(second, OPTIONS);
    await watch(second, LONG_TEXT);
    // It is at work for the second tab when it goes.
    await expect.poll(() => second.evaluate(() => window.progress)).toBeGreaterThan(0);
    if (how === 'closes') await first.close();
    else if (how === 'is loaded anew') await first.reload();
    else if (how === 'crashes') await first.goto('chrome://crash').catch(() => undefined);
    else await first.evaluate(() => window.desk.destroy());
    const { value, error } = await second.evaluate(() => window.watched);
    expect(error).toBeUndefined();
    expect(value).toMatchObject({ source: 'device' });
    expect((await classify(second)).value?.value).toBe('billing');
  });
}

test('what cannot be done twice fails with a typed error: half a stream, a change of a task', async ({ page, site }) => {
  const options = { ...OPTIONS, reflex: 'minilm-l6' } as const;
  const [first, second] = await twoTabs(page, site, options);
  await createDesk(second, options);
  const told = await second.evaluate(async (story) => {
    const examples = Array.from({ length: 600 }, (_, index) => ({ text: `Message number ${index}: ${'please help me with this '.repeat(8)}`, label: index % 2 === 0 ? 'even' : 'odd' }));
    const read = async () => {
      for await (const chunk of window.desk.chat.completions.create(story)) if (chunk.choices[0].delta.content) window.progress = (window.progress ?? 0) + 1;
    };
    Object.assign(window, { streamed: window.settle(read()), learnt: window.settle(window.desk.task('parity').learn(examples)), progress: 0 });
    while ((window.progress ?? 0) < 3) await new Promise((resolve) => setTimeout(resolve, 20));
    return window.progress;
  }, STORY);
  expect(told).toBeGreaterThanOrEqual(3);
  await first.close();
  const { streamed, learnt } = await second.evaluate(async () => {
    const page = window as unknown as { streamed: Promise<Settled<undefined>>; learnt: Promise<Settled<object>> };
    return { streamed: await page.streamed, learnt: await page.learnt };
  });
  for (const { error } of [streamed, learnt]) expect(error).toMatchObject({ code: 'worker_died', isFrontdeskError: true });
  expect((await classify(second)).value?.value).toBe('billing');
});

test('when a tab goes, its work stops, and the others do not wait for it', async ({ page, site }) => {
  const [first, second] = await twoTabs(page, site);
  await createDesk(second, OPTIONS);
  await second.evaluate(async (story) => {
    const stream = window.desk.chat.completions.create(story)[Symbol.asyncIterator]();
    for (let count = 0; count < 3; count += 1) await stream.next();
  }, STORY);
  await second.close();
  // The story would take longer than this test may.
  expect((await classify(first)).value?.value).toBe('billing');
});

test('a tab that was frozen with the engine is passed over, and comes back as one of the others', async ({ page, site }) => {
  test.setTimeout(120_000);
  const [first, second] = await twoTabs(page, site);
  await createDesk(second, OPTIONS);
  const session = await page.context().newCDPSession(first);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  expect((await classify(second)).value?.value).toBe('billing');
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  expect((await classify(first)).value?.value).toBe('billing');
  expect((await classify(second)).value?.value).toBe('billing');
});

test('tabs that load at the same time see the same download; one that gives up does not stop the other', async ({ page, site, files }) => {
  await openPage(page, site);
  const other = await openPage(await page.context().newPage(), site);
  const model = { url: `${files.origin}/slow`, ...FILE_IN_CHUNKS };
  for (const tab of [page, other]) {
    await tab.evaluate((model) => {
      const controller = new AbortController();
      const monitor = (target: EventTarget) => {
        target.addEventListener('downloadprogress', (event) => {
          window.progress = (event as ProgressEvent).loaded;
        });
      };
      const created = window.settle(window.frontdesk.Frontdesk.create({ model, monitor, signal: controller.signal }).then(() => undefined));
      Object.assign(window, { created, giveUp: () => { controller.abort(); } });
    }, model);
  }
  for (const tab of [page, other]) await expect.poll(() => tab.evaluate(() => window.progress ?? 0)).toBeGreaterThan(FILE_IN_CHUNKS.bytes / 4);
  const ends = (tab: Page) => tab.evaluate(() => (window as unknown as { created: Promise<Settled<undefined>> }).created);
  await page.evaluate(() => { (window as unknown as { giveUp(): void }).giveUp(); });
  expect((await ends(page)).error).toMatchObject({ name: 'AbortError' });
  // The bytes are no model, but the right ones.
  expect((await ends(other)).error).toMatchObject({ code: 'invalid_model' });
  // The tab that gave up had the engine: what it was fetching just then, four parts, is fetched once more.
  expect(files.log.length).toBeLessThanOrEqual(13 + 4);
});

test('ten tabs have one engine, and it survives all but one of them', async ({ page, site }) => {
  const tabs = [page, ...(await Promise.all(Array.from({ length: 9 }, () => page.context().newPage())))];
  const modules: string[] = [];
  page.context().on('request', (request) => { if (request.url().endsWith('.wasm')) modules.push(request.url()); });
  await Promise.all(tabs.map(async (tab) => createDesk(await openPage(tab, site), OPTIONS)));
  expect(modules).toHaveLength(1);
  const answers = Promise.all(tabs.map(classify));
  expect((await answers).map(({ value }) => value?.value)).toEqual(tabs.map(() => 'billing'));
  const last = tabs.pop() ?? page;
  for (const tab of tabs) await tab.close();
  expect((await classify(last)).value?.value).toBe('billing');
  expect(modules.length).toBeLessThanOrEqual(10);
});

/** Two pages of one origin; the first one's desk has the engine. */
async function twoTabs(page: Page, site: Site, options: Parameters<typeof createDesk>[1] = OPTIONS): Promise<[Page, Page]> {
  await openPage(page, site);
  await createDesk(page, options);
  return [page, await openPage(await page.context().newPage(), site)];
}

function classify(page: Page) {
  return page.evaluate(([text, labels]) => window.settle(window.desk.classify(text, { labels })), [TICKET, LABELS] as const);
}

/** Begins a call whose progress and end can be looked at. */
async function watch(page: Page, text: string): Promise<void> {
  await page.evaluate(
    ([text, labels]) => {
      const onProgress = ({ done }: { done: number }) => {
        window.progress = done;
      };
      window.watched = window.settle(window.desk.classify(text, { labels, onProgress }));
    },
    [text, LABELS] as const,
  );
}
