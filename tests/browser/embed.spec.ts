/** Embeddings of the reflex model in the real page: what they are, how long work stops, what is refused. */
import type { Page } from '@playwright/test';
import type { Embedding } from 'frontdesk';
import { createDesk, expect, openPage, test } from './fixtures.ts';

const DIMENSIONS = 384;
const TEXTS = [
  'My card was charged twice for the same order.',
  'I was billed two times for one purchase.',
  'The parcel has not arrived yet.',
  'Wie setze ich mein Kennwort zurück? 🔑',
  '',
];

interface Plain extends Omit<Embedding, 'vector'> {
  readonly vector: readonly number[];
}

function embed(page: Page, texts: readonly string[]): Promise<Plain[]> {
  return page.evaluate(async (texts) => {
    const { embeddings } = await window.desk.embed(texts);
    return embeddings.map(({ vector, ...rest }) => ({ ...rest, vector: [...vector] }));
  }, texts);
}

function dot(a: Plain | undefined, b: Plain | undefined): number {
  return (a?.vector ?? []).reduce((sum, value, index) => sum + value * (b?.vector[index] ?? Number.NaN), 0);
}

test.describe('with a reflex model', () => {
  test.describe.configure({ mode: 'serial' });
  let page: Page;

  test.beforeAll(async ({ browser, site }) => {
    page = await openPage(await (await browser.newContext()).newPage(), site);
    const info = await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6' });
    expect(info?.reflex).toMatchObject({ id: 'minilm-l6', architecture: 'bert', dimensions: DIMENSIONS, textTokens: 256 });
  });

  test.afterAll(async () => {
    await page.context().close();
  });

  test('texts of one meaning lie close, others apart', async () => {
    const embeddings = await embed(page, TEXTS);
    expect(embeddings).toHaveLength(TEXTS.length);
    for (const embedding of embeddings) {
      expect(embedding.vector).toHaveLength(DIMENSIONS);
      expect(dot(embedding, embedding)).toBeCloseTo(1, 5);
      expect(embedding.isTruncated).toBe(false);
    }
    const [twice, twoTimes, parcel] = embeddings;
    expect(dot(twice, twoTimes)).toBeGreaterThan(dot(twice, parcel) + 0.2);
  });

  test('many at once are the same as one by one', async () => {
    const together = await embed(page, TEXTS);
    for (const [index, text] of TEXTS.entries()) {
      const [alone] = await embed(page, [text]);
      expect(alone?.tokens).toBe(together[index]?.tokens);
      expect(dot(alone, together[index])).toBeGreaterThan(0.9999);
    }
    expect(await embed(page, [])).toEqual([]);
  });

  test('a long text loses its end, and says so', async () => {
    const [long] = await embed(page, ['word '.repeat(5000)]);
    expect(long).toMatchObject({ tokens: 256, isTruncated: true });
  });

  test('tells progress and stops when asked', async () => {
    const progress = await page.evaluate(async () => {
      const seen: [number, number][] = [];
      await window.desk.embed(Array.from({ length: 500 }, (_, index) => `ticket number ${index}`), { onProgress: ({ done, total }) => seen.push([done, total]) });
      return seen;
    });
    expect(progress.length).toBeGreaterThan(1);
    expect(progress.map(([done]) => done)).toEqual(progress.map(([done]) => done).toSorted((a, b) => a - b));
    expect(progress.every(([done, total]) => done < total && total === 500)).toBe(true);
    const stopped = await page.evaluate(async () => {
      const abort = new AbortController();
      const texts = Array.from({ length: 2000 }, () => 'a ticket of some length about a payment that failed');
      try {
        await window.desk.embed(texts, { signal: abort.signal, onProgress: () => { abort.abort(new Error('enough')); } });
        return 'went on';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(stopped).toBe('enough');
    expect(await embed(page, ['still here'])).toHaveLength(1);
  });

  test('what is no list of texts is a typed error', async () => {
    for (const texts of ['text', [1], undefined]) {
      const { error } = await page.evaluate((texts) => window.settle(window.desk.embed(texts as never)), texts);
      expect(error).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
    }
  });

  test('the desk still classifies and chats', async () => {
    const { value } = await page.evaluate(() => window.desk.classify('I was charged twice. Please refund the second payment.', { labels: ['billing', 'shipping'], mode: 'only_on_device' }));
    expect(value).toBe('billing');
  });
});

test('a desk without a reflex model says that it has none', async ({ desk }) => {
  const { error } = await desk.page.evaluate(() => window.settle(window.desk.embed(['text'])));
  expect(error).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
});

test('a model of the wrong kind is refused as the reflex model, and as the model', async ({ page, site }) => {
  await openPage(page, site);
  for (const options of [{ reflex: 'smollm2-135m-instruct' }, { model: 'minilm-l6' }]) {
    const { error } = await page.evaluate((options) => window.settle(window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models', ...options })), options);
    expect(error).toMatchObject({ code: 'unsupported_model', isFrontdeskError: true });
  }
});
