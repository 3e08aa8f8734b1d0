/** Embeddings of the reflex model through the clients of OpenAI and of the AI SDK. */
import type { Page } from '@playwright/test';
import { addAdapters, expect, test, WORLDLY } from './adapters_fixtures.ts';
import { createDesk, openPage } from './fixtures.ts';

test.describe.configure({ mode: 'serial' });
let page: Page;
const requests: string[] = [];

test.beforeAll(async ({ browser, adaptersSite }) => {
  page = await openPage(await (await browser.newContext()).newPage(), adaptersSite);
  await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6' });
  await addAdapters(page);
  page.on('request', (request) => requests.push(request.url()));
});

test.afterAll(async () => {
  await page.context().close();
});

test('OpenAI’s client gets the desk’s vectors, as numbers and as base64, which the client asks for by itself', async () => {
  const texts = ['My card was charged twice.', WORLDLY, '', 'long '.repeat(600)];
  const { own, byDefault, base64, float } = await page.evaluate(async (input) => {
    const client = window.adapters.openai({});
    const { embeddings } = await window.desk.embed(input);
    return {
      own: embeddings.map(({ vector, tokens }) => ({ vector: [...vector], tokens })),
      byDefault: await client.embeddings.create({ model: 'any', input }),
      base64: await client.embeddings.create({ model: 'any', input, encoding_format: 'base64' }),
      float: await client.embeddings.create({ model: 'any', input, encoding_format: 'float', dimensions: 384 }),
    };
  }, texts);
  const tokens = own.reduce((sum, { tokens }) => sum + tokens, 0);
  for (const answer of [byDefault, float]) {
    expect(answer.data.map(({ embedding }) => embedding)).toEqual(own.map(({ vector }) => vector));
    expect(answer.data.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(answer).toMatchObject({ object: 'list', model: 'minilm-l6', usage: { prompt_tokens: tokens, total_tokens: tokens }, frontdesk: { source: 'device', truncated: [3] } });
  }
  expect(typeof base64.data[0]?.embedding).toBe('string');
  expect(requests).toEqual([]);
});

test('OpenAI’s client gets those of one text, and errors for what is no text', async () => {
  const [one, ...errors] = await page.evaluate(async () => {
    const client = window.adapters.openai({});
    const of = (body: object) => window.adapters.thrown(() => client.embeddings.create({ model: 'any', input: 'x', ...body }));
    return [
      await client.embeddings.create({ model: 'any', input: 'one text' }),
      await of({ input: [1, 2, 3] }),
      await of({ input: null }),
      await of({ dimensions: 256 }),
      await of({ encoding_format: 'int8' }),
      await of({ shiny: true }),
    ] as const;
  });
  expect(one.data).toHaveLength(1);
  for (const error of errors) expect(error).toMatchObject({ name: 'BadRequestError', status: 400, code: 'invalid_input' });
  const models = await page.evaluate(async () => (await window.adapters.openai({}).models.list()).data.map(({ id }) => id));
  expect(models).toEqual(['smollm2-135m-instruct', 'minilm-l6']);
});

test('OpenAI’s client can abort', async () => {
  const error = await page.evaluate(async () => {
    const abort = new AbortController();
    const work = window.adapters.thrown(() => window.adapters.openai({}).embeddings.create({ model: 'any', input: Array.from({ length: 500 }, (_, index) => `text ${index}`) }, { signal: abort.signal }));
    setTimeout(() => { abort.abort(); }, 20);
    return work;
  });
  expect(error).toMatchObject({ name: 'APIUserAbortError' });
});

test('the AI SDK gets the desk’s vectors', async () => {
  const found = await page.evaluate(async (values) => {
    const { ai, frontdeskProvider } = window.adapters;
    const model = frontdeskProvider(window.desk).embeddingModel();
    const { embeddings } = await window.desk.embed(values);
    const { embedding, providerMetadata } = await ai.embed({ model, value: values[0] ?? '' });
    const many = await ai.embedMany({ model, values });
    return { own: embeddings.map(({ vector }) => [...vector]), one: embedding, many: many.embeddings, usage: many.usage, metadata: providerMetadata };
  }, ['My card was charged twice.', WORLDLY, '']);
  expect(found.many).toEqual(found.own);
  expect(found.one).toEqual(found.own[0]);
  expect(found.usage.tokens).toBeGreaterThan(0);
  expect(found.metadata).toEqual({ frontdesk: { source: 'device', truncated: [] } });
  expect(requests).toEqual([]);
});

test('the AI SDK is told of dimensions that are not there, and can abort', async () => {
  const [dimensions, aborted] = await page.evaluate(async () => {
    const { ai, frontdeskProvider, thrown } = window.adapters;
    const model = frontdeskProvider(window.desk).embeddingModel();
    return [
      await thrown(() => Promise.resolve(model.doEmbed({ values: ['x'], dimensions: 5 }))),
      await thrown(() => ai.embed({ model, value: 'x', abortSignal: AbortSignal.abort() })),
    ] as const;
  });
  expect(dimensions).toMatchObject({ isUnsupported: true });
  expect(aborted).toMatchObject({ domName: 'AbortError' });
});
