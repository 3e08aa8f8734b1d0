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

  test('refuses what are no options, whatever the call', async () => {
    const others = await page.evaluate(async () => {
      const { Frontdesk, openaiCompatible, store } = window.frontdesk;
      const { desk } = window;
      const task = desk.task('tickets');
      const messages = [{ role: 'user', content: 'Hello' }] as const;
      const calls: Record<string, (options: never) => unknown> = {
        create: (options) => Frontdesk.create(options),
        availability: (options) => Frontdesk.availability(options),
        clone: (options) => desk.clone(options),
        classify: (options) => desk.classify('Hello', options),
        decide: (options) => desk.decide({ state: 'Hello', questions: {} }, options),
        chat: (options) => desk.chat.completions.create({ messages }, options),
        stream: (options) => desk.chat.completions.create({ messages, stream: true }, options),
        embed: (options) => desk.embed(['Hello'], options),
        learn: (options) => task.learn([], options),
        evaluate: (options) => task.evaluate([], options),
        calibrate: (options) => task.calibrate([], options),
        correct: (options) => task.correct('Hello', 'billing', options),
        improve: (options) => task.improve(options),
        openaiCompatible: (options) => openaiCompatible(options),
        prepare: (options) => store.prepare('minilm-l6', options),
        import: (options) => store.import(new Blob(), options),
      };
      const messagesOf = async (name: string, options: unknown) => {
        const { error } = await window.settle(Promise.resolve().then(() => calls[name]?.(options as never)));
        return error?.code === 'invalid_input' ? error.message : `${name}: ${error?.message ?? 'no error'}`;
      };
      const told = [];
      for (const name of Object.keys(calls)) {
        for (const options of [null, 7, [], { signal: 7 }, { signal: false }]) told.push(await messagesOf(name, options));
      }
      return told.filter((message) => !['options must be an object', 'signal must be an AbortSignal'].includes(message));
    });
    expect(others).toEqual([]);
    const codes = await page.evaluate(async () => {
      const { Frontdesk, store } = window.frontdesk;
      const none = null as never;
      const calls = [
        () => Frontdesk.availability({ model: none }),
        () => Frontdesk.create({ reflex: none }),
        () => Frontdesk.create({ modelBaseUrl: 7 as never }),
        () => store.prepare(none),
        () => store.remove(none),
        () => window.desk.task('tickets').improve({ fresh: none }),
        () => window.desk.ledger(none),
      ];
      return Promise.all(calls.map(async (call) => (await window.settle(Promise.resolve().then<unknown>(call))).error?.code));
    });
    expect(codes).toEqual(codes.map(() => 'invalid_input'));
    expect(await failure(page, (request) => window.settle(window.desk.chat.completions.create(request as never)), null)).toMatchObject({
      code: 'invalid_input',
      message: 'the request must be an object',
    });
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
