/** Tasks that get better in the real page: corrections, the cloud's lessons, challengers, rollback; many texts; the ledger. */
import type { Page } from '@playwright/test';
import type { Improvement } from 'frontdesk';
import { expect, failure, onLearningPage, openPage, test, toUpstream } from './fixtures.ts';
import { examples, labelIn, LEARNT, OTHERS } from './task_examples.ts';

/** Two tickets of each label: little to learn from. */
const FEW = examples((sentence) => sentence === 0).filter((_, index) => index % 8 < 2);
const LABELS = [...new Set(LEARNT.map(({ label }) => label))];
const TEXTS = OTHERS.map(({ text }) => text);
const PRICES = { inputPerMillion: 2, outputPerMillion: 10 };

test.describe('a task that learnt little', () => {
  let page: Page;
  let requests: string[];
  onLearningPage(async (opened, sent) => {
    [page, requests] = [opened, sent];
    await page.evaluate((few) => window.desk.task('tickets').learn(few), FEW);
  });

  const accuracy = () => page.evaluate(async (others) => (await window.desk.task('tickets').evaluate(others)).accuracy, OTHERS);

  test('answers many texts in one call as it does one by one', async () => {
    const result = await page.evaluate(async (texts) => {
      const options = { task: 'tickets', mode: 'only_on_device' } as const;
      const progress: number[] = [];
      const together = await window.desk.classify(texts, { ...options, onProgress: ({ done }) => progress.push(done) });
      const alone = [];
      for (const text of texts.slice(0, 5)) alone.push(await window.desk.classify(text, options));
      return { together, alone, progress, none: await window.desk.classify([], options) };
    }, TEXTS);
    expect(result.together).toHaveLength(TEXTS.length);
    for (const [index, answer] of result.alone.entries()) {
      expect(result.together[index]).toMatchObject({ value: answer.value, probabilities: answer.probabilities, source: 'device' });
    }
    expect(result.progress.at(-1)).toBe(TEXTS.length);
    expect(result.none).toEqual([]);
  });

  test('many texts stop together, and a bad one is refused before anything runs', async () => {
    const stopped = await failure(
      page,
      (texts) => {
        const abort = new AbortController();
        const call = window.desk.classify(texts, { task: 'tickets', mode: 'only_in_cloud', signal: abort.signal });
        abort.abort(new Error('enough'));
        return window.settle(call);
      },
      TEXTS,
    );
    expect(stopped?.message).toBe('enough');
    expect(await failure(page, (texts) => window.settle(window.desk.classify(texts as never, { task: 'tickets' })), ['a', 7])).toMatchObject({ code: 'invalid_input' });
  });

  test('promises nothing on the examples that it learnt from', async () => {
    const error = await failure(page, (few) => window.settle(window.desk.task('tickets').calibrate(few, { maxError: 0.3 })), FEW);
    expect(error).toMatchObject({ code: 'invalid_input' });
    expect(error?.message).toContain('has learnt from');
    const none = await failure(page, () => window.settle(window.desk.task('tickets').calibrate(undefined, { maxError: 0.3 })), undefined);
    expect(none).toMatchObject({ code: 'invalid_input' });
  });

  test('tries other budgets on the examples that it keeps', async () => {
    const [loose, strict, again] = await page.evaluate(async (others) => {
      const task = window.desk.task('tickets');
      const budget = { maxError: 0.3, confidence: 0.9 };
      return [
        await task.calibrate(others, budget),
        await task.calibrate(undefined, { ...budget, maxError: 0.05 }),
        await task.calibrate(undefined, budget),
      ] as const;
    }, OTHERS);
    expect(loose.rows).toBe(OTHERS.length);
    expect(again).toEqual(loose);
    expect(strict.certified?.threshold ?? 1).toBeGreaterThan(loose.certified?.threshold ?? 1);
  });

  test('notes corrections of texts, answers and receipts, and of nothing else', async ({ site }) => {
    site.upstream.reset('delivery');
    const memory = await page.evaluate(async () => {
      const { desk } = window;
      const task = desk.task('tickets');
      const here = await desk.classify('The parcel is late.', { task: 'tickets', mode: 'only_on_device' });
      const there = await desk.classify('Nothing has come.', { task: 'tickets', mode: 'prefer_in_cloud' });
      if (!there.receipt) throw new Error('no receipt');
      const infos = [
        await task.correct('When will it come?', 'delivery'),
        await task.correct(here, 'delivery'),
        await task.correct(there, 'delivery'),
        await task.correct(there.receipt, 'a new label'),
      ];
      return infos.map((info) => info.memory);
    });
    expect(memory.map(({ learn }) => learn)).toEqual([1, 2, 3, 4]);
    expect(memory.map(({ certify }) => certify)).toEqual([64, 64, 64, 64]);
    for (const [about, label] of [
      [{}, 'delivery'],
      [null, 'delivery'],
      ['a text', ' '],
    ] as const) {
      const error = await failure(page, ([about, label]) => window.settle(window.desk.task('tickets').correct(about as never, label)), [about, label] as const);
      expect(error).toMatchObject({ code: 'invalid_input' });
    }
    // Corrections alone promote nobody.
    const error = await failure(page, () => window.settle(window.desk.task('tickets').improve()), undefined);
    expect(error).toMatchObject({ code: 'invalid_input' });
    expect(error?.message).toContain('fresh');
  });

  test('gets better where that is shown on fresh texts, and goes back when told', async () => {
    const before = await accuracy();
    const { improvement, progress } = await page.evaluate(
      async ([lessons, fresh]) => {
        const task = window.desk.task('tickets');
        for (const { text, label } of lessons) await task.correct(text, label);
        const progress: string[] = [];
        const improvement = await task.improve({ fresh, onProgress: ({ type }) => progress.push(type) });
        return { improvement, progress };
      },
      [LEARNT.filter((_, index) => index % 2 === 0), OTHERS] as const,
    );
    expect(improvement).toMatchObject({ outcome: 'promoted', learnt: 68, fresh: { rows: OTHERS.length } });
    expect(improvement.fresh.gained).toBeGreaterThan(improvement.fresh.lost);
    expect(improvement.fresh.pBetter).toBeLessThanOrEqual(0.05);
    expect(improvement.guarantee?.budget.maxError).toBe(0.3);
    expect(new Set(progress)).toEqual(new Set(['prefill', 'learning']));
    const after = await accuracy();
    expect(after).toBeGreaterThan(before);
    const info = await page.evaluate(() => window.desk.task('tickets').info());
    // What it was compared on teaches the next one.
    expect(info).toMatchObject({ earlier: 1, memory: { certify: 64, compare: 0, learn: OTHERS.length } });
    expect(info?.labels).toContain('a new label');

    const back = await page.evaluate(() => window.desk.task('tickets').rollback());
    expect(back).toMatchObject({ earlier: 0, kept: true });
    expect(back.labels).not.toContain('a new label');
    expect(await accuracy()).toBe(before);
    const error = await failure(page, () => window.settle(window.desk.task('tickets').rollback()), undefined);
    expect(error).toMatchObject({ code: 'invalid_input' });
  });

  test('keeps the old where the new is not shown to be better', async () => {
    const before = await accuracy();
    const improvement = await page.evaluate(async ([lesson, fresh]) => {
      const task = window.desk.task('good');
      await task.learn(fresh);
      await task.correct(lesson.text, lesson.label);
      return task.improve({ fresh: fresh.slice(0, 10) });
    }, [LEARNT[0] ?? { text: '', label: '' }, OTHERS] as const);
    expect(improvement).toMatchObject({ outcome: 'not_shown_better', learnt: 1 });
    expect(await accuracy()).toBe(before);
  });

  test('answers while it learns', async () => {
    const order = await page.evaluate(async (examples) => {
      const order: string[] = [];
      let asked: Promise<unknown> | undefined;
      await window.desk.task('other').learn(examples, {
        onProgress: () => {
          asked ??= window.desk.classify('Where is it?', { task: 'tickets', mode: 'only_on_device' }).then(() => order.push('answered'));
        },
      });
      order.push('learnt');
      await asked;
      return order;
    }, LEARNT);
    expect(order).toEqual(['answered', 'learnt']);
  });

  test('counts what every call cost and would have cost', async ({ site }) => {
    site.upstream.reset(labelIn);
    requests.length = 0;
    const before = await page.evaluate((prices) => window.desk.ledger(prices), PRICES);
    const after = await page.evaluate(async ([texts, prices]) => {
      await window.desk.classify(texts, { task: 'tickets', mode: 'only_on_device' });
      await window.desk.classify(texts.slice(0, 16), { task: 'tickets', mode: 'prefer_in_cloud' });
      return window.desk.ledger(prices);
    }, [TEXTS, PRICES] as const);
    expect(toUpstream(requests)).toHaveLength(16);
    expect(after.calls - before.calls).toBe(TEXTS.length + 16);
    expect(after.sent - before.sent).toBe(16);
    expect(after.measured - before.measured).toBe(16);
    // The upstream reports 42 tokens read and 3 written for each request.
    expect(after.asRun.inputTokens - before.asRun.inputTokens).toBeCloseTo(16 * 42, 6);
    expect(after.asRun.money - before.asRun.money).toBeCloseTo((16 * (42 * 2 + 3 * 10)) / 1e6, 9);
    const { allCloud, saving } = after;
    if (!allCloud || !saving?.interval) throw new Error('nothing was measured');
    expect(allCloud.money).toBeGreaterThan(after.asRun.money);
    expect(saving.share).toBeCloseTo(1 - after.asRun.money / allCloud.money, 9);
    expect(saving.interval.low).toBeLessThanOrEqual(saving.share);
    expect(saving.interval.high).toBeGreaterThanOrEqual(saving.share);
    for (const prices of [{ inputPerMillion: -1, outputPerMillion: 0 }, { inputPerMillion: 1, outputPerMillion: Number.NaN }]) {
      expect(await failure(page, (prices) => window.settle(window.desk.ledger(prices)), prices)).toMatchObject({ code: 'invalid_input' });
    }
  });
});

test('what the cloud answers teaches the task while the page is idle, where that is wanted', async ({ browser, site }) => {
  const page = await openPage(await (await browser.newContext()).newPage(), site);
  site.upstream.reset(labelIn);
  const attempt = await page.evaluate(
    async ([few, labels, texts, others]) => {
      const { Frontdesk, openaiCompatible } = window.frontdesk;
      let tell: (attempt: { task: string; improvement?: Improvement }) => void = () => undefined;
      const told = new Promise<{ task: string; improvement?: Improvement }>((resolve) => (tell = resolve));
      const cloud = openaiCompatible({ url: '/v1/chat/completions', model: 'big-model' });
      const desk = await Frontdesk.create({ modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'cascade', cloud, learnFromCloud: true, onImproved: tell });
      const task = desk.task('tickets');
      await task.learn(few);
      // Without being asked to, nothing is kept.
      const [unkept] = await desk.classify([texts[0] ?? ''], { task: 'tickets', labels, mode: 'prefer_in_cloud', learnFromCloud: false });
      const silent = await task.info();
      const answers = await desk.classify(texts, { task: 'tickets', labels, mode: 'prefer_in_cloud' });
      const attempt = await told;
      const after = await task.evaluate(others);
      const result = { attempt, unkept: unkept?.lesson, silent: silent?.memory, lessons: answers.map(({ lesson }) => lesson), after: after.accuracy };
      await desk.destroy();
      return result;
    },
    // Of two labels it knows nothing yet.
    [FEW.filter(({ label }) => label === LABELS[0] || label === LABELS[1]), LABELS, LEARNT.map(({ text }) => text), OTHERS] as const,
  );
  expect(attempt.unkept).toBeUndefined();
  expect(attempt.silent).toEqual({ certify: 0, compare: 0, learn: 0 });
  expect(new Set(attempt.lessons)).toEqual(new Set(['kept']));
  expect(attempt.attempt).toMatchObject({ task: 'tickets', improvement: { outcome: 'promoted', learnt: LEARNT.length / 2, fresh: { rows: LEARNT.length / 2 } } });
  expect(attempt.after).toBeGreaterThan(0.8);
  await page.context().close();
});
