/** Abort: at any time, at once, with the signal's reason; and the next call works as if nothing had been. */
import { CLOUD_LABEL, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';
import { MADE_UP } from './servers/models.ts';

/** Well below the time that the aborted work would have taken. */
const PROMPTLY_MS = 500;
/** About 1500 tokens: seconds of prefill. */
const LONG_TEXT = 'The printer on the second floor prints blank pages again and nobody knows why. '.repeat(90);

test('during the download: nothing is left, and the next create works', async ({ desk, site }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  const before = await page.evaluate(() => window.keptFiles());
  const { settled, msAfterAbort, loaded } = await page.evaluate(async ({ sha256, bytes }) => {
    const controller = new AbortController();
    let abortedAt = 0;
    let loaded = 0;
    const settled = await window.settle(
      window.frontdesk.Frontdesk.create({
        model: { url: '/made-up/slow', sha256, bytes },
        signal: controller.signal,
        monitor: (target) => {
          target.addEventListener('downloadprogress', (event) => {
            loaded = (event as ProgressEvent).loaded;
            if (loaded === 0) return;
            abortedAt ||= performance.now();
            controller.abort();
          });
        },
      }),
    );
    return { settled: { ...settled, value: undefined }, msAfterAbort: performance.now() - abortedAt, loaded };
  }, MADE_UP);
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(loaded).toBeLessThan(MADE_UP.bytes);
  expect(msAfterAbort).toBeLessThan(PROMPTLY_MS);
  await expect.poll(() => page.evaluate(() => window.keptFiles())).toEqual(before);

  const cached = await page.evaluate(async () => {
    const desk = await window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models' });
    await desk.destroy();
    return desk.info?.cached;
  });
  expect(cached).toBe(true);
  await page.close();
});

test('during prefill', async ({ desk }) => {
  const { settled, msAfterAbort, seen } = await desk.page.evaluate(
    async ([text, labels]) => {
      const controller = new AbortController();
      let abortedAt = 0;
      let seen = { done: 0, total: 0 };
      const settled = await window.settle(
        window.desk.classify(text, {
          labels,
          threshold: 0,
          signal: controller.signal,
          onProgress: ({ done, total }) => {
            seen = { done, total };
            abortedAt ||= performance.now();
            controller.abort();
          },
        }),
      );
      return { settled, msAfterAbort: performance.now() - abortedAt, seen };
    },
    [LONG_TEXT, LABELS] as const,
  );
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(seen.done).toBeLessThan(seen.total);
  expect(msAfterAbort).toBeLessThan(PROMPTLY_MS);
  // The worker lets go within a step: the next answer does not wait for the whole of the long text.
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
});

test('during decode', async ({ desk }) => {
  const { settled, msAfterAbort, pieces } = await desk.page.evaluate(async () => {
    const controller = new AbortController();
    let abortedAt = 0;
    let pieces = 0;
    const read = async () => {
      const stream = window.desk.chat.completions.create(
        { messages: [{ role: 'user', content: 'Write a long story about a lighthouse.' }], max_tokens: 500, stream: true },
        { threshold: 0, signal: controller.signal },
      );
      for await (const chunk of stream) {
        if (!chunk.choices[0].delta.content) continue;
        pieces += 1;
        if (pieces < 3) continue;
        abortedAt ||= performance.now();
        controller.abort();
      }
    };
    const settled = await window.settle(read());
    return { settled, msAfterAbort: performance.now() - abortedAt, pieces };
  });
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(msAfterAbort).toBeLessThan(PROMPTLY_MS);
  expect(pieces).toBeLessThan(50);
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
});

test('leaving a stream early stops the work too', async ({ desk }) => {
  await desk.page.evaluate(async () => {
    const stream = window.desk.chat.completions.create(
      { messages: [{ role: 'user', content: 'Write a long story about a lighthouse.' }], max_tokens: 1500, stream: true },
      { threshold: 0 },
    );
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  });
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
  // A story of 1500 tokens takes far longer than this.
  expect(next.ms).toBeLessThan(10_000);
});

test('during escalation: the connection is closed', async ({ desk, upstream }) => {
  upstream.behaviour = 'hang';
  await desk.page.evaluate(
    ([text, labels]) => {
      const controller = new AbortController();
      const settled = window.settle(window.desk.classify(text, { labels, threshold: 1, signal: controller.signal }));
      Object.assign(window, { controller, settled });
    },
    [TICKET, LABELS] as const,
  );
  await expect.poll(() => upstream.bodies.length).toBe(1);
  const { settled, ms } = await desk.page.evaluate(async () => {
    const { controller, settled } = window as unknown as { controller: AbortController; settled: Promise<Settled<unknown>> };
    const start = performance.now();
    controller.abort();
    return { settled: await settled, ms: performance.now() - start };
  });
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(ms).toBeLessThan(PROMPTLY_MS);
  await expect.poll(() => upstream.abandoned).toBe(1);

  upstream.behaviour = 'answer';
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  expect(next.value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud' });
});

test('a signal that has aborted already: nothing runs, and its own reason comes back', async ({ desk }) => {
  const settled = await desk.page.evaluate(
    ([text, labels]) => window.settle(window.desk.classify(text, { labels, threshold: 1, signal: AbortSignal.abort(new TypeError('own reason')) })),
    [TICKET, LABELS] as const,
  );
  expect(settled.error).toMatchObject({ name: 'TypeError', message: 'own reason' });
  expect(desk.requests).toEqual([]);
});
