/** Tasks in the real page: learning, answering, certifying, keeping, files, and what is refused. */
import type { Page } from '@playwright/test';
import { createDesk, expect, failure, onLearningPage, openPage, test, toUpstream } from './fixtures.ts';
import { LEARNT, OTHERS } from './task_examples.ts';

const STRANGE = 'Prove that the sum of the first n odd numbers is a perfect square, using induction over n.';

function refusal(page: Page, name: string) {
  return failure(page, (name) => window.settle(Promise.resolve().then(() => window.desk.task(name).name)), name);
}

test.describe('a task', () => {
  let page: Page;
  let requests: string[];
  onLearningPage((opened, sent) => {
    [page, requests] = [opened, sent];
  });

  test('has learnt nothing at first', async () => {
    expect(await page.evaluate(() => window.desk.task('tickets').info())).toBeNull();
    expect(await failure(page, (examples) => window.settle(window.desk.task('tickets').evaluate(examples)), OTHERS)).toMatchObject({ code: 'invalid_input' });
    expect(await failure(page, (text) => window.settle(window.desk.classify(text, { task: 'tickets' })), 'hello')).toMatchObject({ code: 'invalid_input' });
  });

  test('learns, telling how far it is', async () => {
    const { info, progress } = await page.evaluate(async (examples) => {
      const progress: { type: string; share: number }[] = [];
      const info = await window.desk.task('tickets').learn(examples, {
        onProgress: (event) => progress.push({ type: event.type, share: event.type === 'learning' ? event.share : event.done / event.total }),
      });
      return { info, progress };
    }, LEARNT);
    expect(info.labels).toEqual(['account_access', 'billing_problem', 'delivery', 'return_item']);
    expect(info.report).toMatchObject({ examples: LEARNT.length, heldOut: LEARNT.length });
    expect(info.report.heldOutAccuracy).toBeGreaterThan(0.9);
    expect(info.guarantee).toBeUndefined();
    for (const type of ['prefill', 'learning']) {
      const shares = progress.filter((event) => event.type === type).map(({ share }) => share);
      expect(shares.length).toBeGreaterThan(2);
      expect(shares).toEqual(shares.toSorted((a, b) => a - b));
      expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
    }
  });

  test('is judged on other examples', async () => {
    const figures = await page.evaluate((examples) => window.desk.task('tickets').evaluate(examples), OTHERS);
    expect(figures.rows).toBe(OTHERS.length);
    expect(figures.accuracy).toBeGreaterThan(0.9);
    expect(figures.curve.at(-1)).toMatchObject({ coverage: 1, addedRisk: 1 - figures.accuracy });
    const right = figures.confusion.map((row, label) => row[label] ?? 0).reduce((a, b) => a + b, 0);
    expect(right / figures.rows).toBeCloseTo(figures.accuracy, 10);
  });

  test('promises nothing that it cannot keep', async () => {
    const none = await page.evaluate((examples) => window.desk.task('tickets').calibrate(examples, { maxError: 0.02 }), OTHERS);
    // 64 examples; 2% takes 149.
    expect(none).toMatchObject({ rows: OTHERS.length, neededRows: 149 });
    expect(none.certified).toBeNull();
    const answer = await page.evaluate(() => window.desk.classify('Why was I billed two times?', { task: 'tickets', mode: 'only_on_device' }));
    expect(answer).toMatchObject({ value: 'billing_problem', source: 'device', guarantee: { kind: 'none' } });
  });

  test('answers within its guarantee, and nothing leaves', async () => {
    const guarantee = await page.evaluate((examples) => window.desk.task('tickets').calibrate(examples, { maxError: 0.1, confidence: 0.9 }), OTHERS);
    expect(guarantee.certified?.bound).toBeLessThanOrEqual(0.1);
    requests.length = 0;
    const answer = await page.evaluate(() => window.desk.classify('My card was debited twice for the blue lamp.', { task: 'tickets' }));
    expect(answer).toMatchObject({
      value: 'billing_problem',
      source: 'device',
      reason: 'confident',
      guarantee: { kind: 'certified', budget: { maxError: 0.1, confidence: 0.9, risk: 'added', shift: 1 } },
    });
    expect(answer.probabilities.map(({ probability }) => probability).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    expect(answer.confidence).toBeGreaterThanOrEqual(guarantee.certified?.threshold ?? 1);
    expect(toUpstream(requests)).toEqual([]);
    // A threshold of one's own below the certified one is not covered.
    const loose = await page.evaluate(() => window.desk.classify('My card was debited twice.', { task: 'tickets', threshold: 0 }));
    expect(loose.guarantee.kind).toBe('none');
  });

  test('a text unlike the examples is escalated', async ({ site }) => {
    site.upstream.reset('delivery');
    requests.length = 0;
    const answer = await page.evaluate((text) => window.desk.classify(text, { task: 'tickets' }), STRANGE);
    expect(answer.source).toBe('cloud');
    expect(['out_of_scope', 'low_confidence']).toContain(answer.reason);
    expect(answer.local?.trained?.isOutOfScope).toBe(true);
    expect(toUpstream(requests)).toHaveLength(1);
    const here = await page.evaluate((text) => window.desk.classify(text, { task: 'tickets', mode: 'only_on_device' }), STRANGE);
    expect(here).toMatchObject({ source: 'device', reason: 'device_only' });
  });

  test('is exported, imported, and refused when it was changed', async () => {
    const result = await page.evaluate(async (text) => {
      const { desk } = window;
      const bytes = await desk.task('tickets').export();
      const imported = await desk.task('copy / of "tickets" *').import(bytes);
      const [a, b] = await Promise.all(['tickets', 'copy / of "tickets" *'].map((task) => desk.classify(text, { task, mode: 'only_on_device' })));
      const changed = bytes.slice();
      changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
      const refused = await window.settle(desk.task('tickets').import(changed));
      const rubbish = await window.settle(desk.task('tickets').import(new Uint8Array(100)));
      const still = await desk.task('tickets').info();
      return { imported, same: JSON.stringify(a?.probabilities) === JSON.stringify(b?.probabilities), refused: refused.error, rubbish: rubbish.error, still };
    }, OTHERS[0]?.text ?? '');
    expect(result.same).toBe(true);
    expect(result.imported.labels).toHaveLength(4);
    expect(result.imported.guarantee?.certified).toBeDefined();
    expect(result.refused).toMatchObject({ code: 'invalid_task', isFrontdeskError: true });
    expect(result.rubbish).toMatchObject({ code: 'invalid_task' });
    expect(result.still?.guarantee?.certified).toBeDefined();
  });

  test('learning stops when asked, and what was learnt stays', async () => {
    const result = await page.evaluate(async (examples) => {
      const abort = new AbortController();
      const many = Array.from({ length: 20 }, (_, index) => examples.map(({ text, label }) => ({ text: `${text} ${index}`, label }))).flat();
      const stopped = await window.settle(
        window.desk.task('tickets').learn(many, {
          signal: abort.signal,
          onProgress: () => {
            abort.abort(new Error('enough'));
          },
        }),
      );
      return { message: stopped.error?.message, info: await window.desk.task('tickets').info() };
    }, LEARNT);
    expect(result.message).toBe('enough');
    expect(result.info?.report.examples).toBe(LEARNT.length);
  });

  test('a device without room says so, and what was learnt stays', async ({ site }) => {
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin, quotaSize: 1024 });
    const error = await failure(page, (examples) => window.settle(window.desk.task('tickets').learn(examples)), OTHERS);
    expect(error).toMatchObject({ code: 'storage_full' });
    await session.send('Storage.overrideQuotaForOrigin', { origin: site.origin });
    await session.detach();
    const info = await page.evaluate(() => window.desk.task('tickets').info());
    expect(info).toMatchObject({ kept: true, report: { examples: LEARNT.length } });
    const left = await page.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-tasks');
      const names: string[] = [];
      for await (const name of folder.keys()) names.push(name);
      return names;
    });
    expect(left.filter((name) => !name.endsWith('.fdtask'))).toEqual([]);
  });

  test('examples that cannot be learnt from are refused', async () => {
    const [first] = LEARNT;
    for (const [examples, message] of [
      [[], 'examples must be'],
      ['tickets', 'examples must be'],
      [[first, first], '1 labels'],
      [[{ text: 'a' }], 'the label of example 0'],
      [[{ text: 1, label: 'a' }], 'the text of example 0'],
      [[null], 'the text of example 0'],
      [Array.from({ length: 1001 }, (_, index) => ({ text: 'a', label: `label ${index}` })), '1001 labels'],
    ] as const) {
      const error = await failure(page, (examples) => window.settle(window.desk.task('tickets').learn(examples as never)), examples);
      expect(error).toMatchObject({ code: 'invalid_input' });
      expect(error?.message).toContain(message);
    }
    expect(await failure(page, (label) => window.settle(window.desk.task('tickets').evaluate([{ text: 'a', label }])), 'unknown')).toMatchObject({ code: 'invalid_input' });
    expect(await failure(page, (examples) => window.settle(window.desk.task('tickets').calibrate(examples, { maxError: 0 })), OTHERS)).toMatchObject({ code: 'invalid_input' });
    for (const name of ['', ' ', 'x'.repeat(241), '\ud800']) expect(await refusal(page, name)).toMatchObject({ code: 'invalid_input' });
    expect((await page.evaluate(() => window.desk.task('tickets').info()))?.report.examples).toBe(LEARNT.length);
  });

  test('learns from odd texts and contradictory labels', async () => {
    const odd = ['', 'x'.repeat(100_000), '🔑🔑', 'الفاتورة', '\u200b', 'same', 'same'];
    const info = await page.evaluate(
      (texts) => window.desk.task('odd').learn(texts.map((text, index) => ({ text, label: index % 2 === 0 ? 'even' : 'odd' }))),
      odd,
    );
    expect(info.report).toMatchObject({ examples: odd.length, heldOut: 0 });
    const answer = await page.evaluate(() => window.desk.classify('', { task: 'odd', mode: 'only_on_device' }));
    expect(answer.confidence).toBeGreaterThan(0);
    expect(answer.confidence).toBeLessThanOrEqual(1);
  });

  test('is there again in a new page, until it is forgotten', async () => {
    await page.reload();
    await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'cascade' });
    const again = await page.evaluate(() => window.desk.task('tickets').info());
    expect(again?.kept).toBe(true);
    expect(again?.guarantee?.certified).toBeDefined();
    const forgotten = await page.evaluate(async () => {
      await window.desk.task('tickets').forget();
      await window.desk.task('tickets').forget();
      return window.desk.task('tickets').info();
    });
    expect(forgotten).toBeNull();
  });
});

test('a browser without storage learns all the same, and says that it is not kept', async ({ browser, site }) => {
  const context = await browser.newContext();
  // Workers of the page find no file system either.
  await context.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    const body = `navigator.storage.getDirectory = () => Promise.reject(new DOMException('denied', 'SecurityError'));\n${await response.text()}`;
    await route.fulfill({ response, body });
  });
  const page = await openPage(await context.newPage(), site);
  await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'only_on_device' });
  const info = await page.evaluate((examples) => window.desk.task('tickets').learn(examples), LEARNT);
  expect(info.kept).toBe(false);
  const answer = await page.evaluate(() => window.desk.classify('Why was I billed two times?', { task: 'tickets' }));
  expect(answer.value).toBe('billing_problem');
  await page.evaluate(() => window.desk.task('tickets').forget());
  expect(await page.evaluate(() => window.desk.task('tickets').info())).toBeNull();
  await context.close();
});

test('a desk without a reflex model has no tasks, and leaves the answer to the model', async ({ desk }) => {
  expect(await refusal(desk.page, 'tickets')).toMatchObject({ code: 'invalid_input' });
});
