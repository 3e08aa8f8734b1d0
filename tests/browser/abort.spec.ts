/** Abort: at any time, at once, with the signal's reason; and the next call works as if nothing had been. */
import type { Page } from '@playwright/test';
import type { Receipt } from 'frontdesk';
import { CLOUD_LABEL, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';
import { MADE_UP } from './servers/models.ts';

/** Well below the time that the aborted work would have taken. */
const PROMPTLY_MS = 500;
/** Two texts of about 1000 tokens, seconds of prefill each, that share no beginning in the cache. */
const LONG_TEXT = 'The printer on the second floor prints blank pages again and nobody knows why. '.repeat(60);
const OTHER_LONG_TEXT = `Again: ${LONG_TEXT}`;
const STORY = { messages: [{ role: 'user', content: 'Write a long story about a lighthouse.' }], max_tokens: 200, stream: true } as const;

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
            loaded = (event).loaded;
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
  const full = await desk.classify(OTHER_LONG_TEXT, { labels: LABELS, threshold: 0 });
  expect(full.error).toBeUndefined();
  const { settled, msAfterAbort, first, seen } = await desk.page.evaluate(
    async ([text, labels]) => {
      const controller = new AbortController();
      let abortedAt = 0;
      let first = Infinity;
      let seen = { done: 0, total: 0 };
      const settled = await window.settle(
        window.desk.classify(text, {
          labels,
          threshold: 0,
          signal: controller.signal,
          onProgress: ({ done, total }) => {
            seen = { done, total };
            first = Math.min(first, done);
            // The first event may tell of the cache only.
            if (done === first) return;
            abortedAt ||= performance.now();
            controller.abort();
          },
        }),
      );
      return { settled, msAfterAbort: performance.now() - abortedAt, first, seen };
    },
    [LONG_TEXT, LABELS] as const,
  );
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(seen.done).toBeGreaterThan(first);
  expect(seen.done).toBeLessThan(seen.total / 2);
  expect(msAfterAbort).toBeLessThan(PROMPTLY_MS);
  // The worker lets go within a step: the next answer does not wait for the whole of the long text.
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
  expect(next.ms).toBeLessThan(full.ms / 2);
});

test('during decode', async ({ desk }) => {
  const fullMs = await wholeStoryMs(desk.page);
  const { settled, msAfterAbort, pieces } = await desk.page.evaluate(async (story) => {
    const controller = new AbortController();
    let abortedAt = 0;
    let pieces = 0;
    const read = async () => {
      const stream = window.desk.chat.completions.create(
        story,
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
  }, STORY);
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(msAfterAbort).toBeLessThan(PROMPTLY_MS);
  expect(pieces).toBeLessThan(50);
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
  expect(next.ms).toBeLessThan(fullMs / 2);
});

test('leaving a stream early stops the work too', async ({ desk }) => {
  const fullMs = await wholeStoryMs(desk.page);
  await desk.page.evaluate(async (story) => {
    const stream = window.desk.chat.completions.create(story, { threshold: 0 });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
  }, STORY);
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(next.value?.value).toBe('billing');
  expect(next.ms).toBeLessThan(fullMs / 2);
});

test('during escalation: the connection is closed, and what was sent is known', async ({ desk, upstream }) => {
  upstream.behaviour = 'hang';
  await desk.page.evaluate(
    ([text, labels]) => {
      const controller = new AbortController();
      const sent: Receipt[] = [];
      const onSend = (receipt: Receipt) => sent.push(receipt);
      const settled = window.settle(window.desk.classify(text, { labels, threshold: 1, signal: controller.signal, onSend }));
      Object.assign(window, { controller, settled, sent });
    },
    [TICKET, LABELS] as const,
  );
  await expect.poll(() => upstream.bodies.length).toBe(1);
  const { settled, ms, sent } = await desk.page.evaluate(async () => {
    const { controller, settled, sent } = window as unknown as { controller: AbortController; settled: Promise<Settled<unknown>>; sent: Receipt[] };
    const start = performance.now();
    controller.abort();
    return { settled: await settled, ms: performance.now() - start, sent };
  });
  expect(sent).toMatchObject([{ body: upstream.bodies[0] }]);
  expect(settled.error).toMatchObject({ name: 'AbortError', isDomException: true });
  expect(ms).toBeLessThan(PROMPTLY_MS);
  await expect.poll(() => upstream.abandoned).toBe(1);

  upstream.behaviour = 'answer';
  const next = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  expect(next.value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud' });
});

test('during escalation to a provider that ignores its signal, whole and streamed', async ({ desk }) => {
  const errors = await desk.page.evaluate(
    async ([text, labels, story]) => {
      const deaf = () => {
        setTimeout(() => {
          controller.abort();
        }, 10);
        return new Promise<never>(() => undefined);
      };
      window.cloud = { classify: deaf, chat: deaf };
      let controller = new AbortController();
      const whole = await window.settle(window.desk.classify(text, { labels, threshold: 1, signal: controller.signal }));
      controller = new AbortController();
      const stream = window.desk.chat.completions.create(story, { threshold: 1, signal: controller.signal });
      const read = async () => {
        for await (const chunk of stream) if (chunk.choices[0].delta.content) throw new Error('a piece of nobody');
      };
      return [whole.error, (await window.settle(read())).error];
    },
    [TICKET, LABELS, STORY] as const,
  );
  for (const error of errors) expect(error).toMatchObject({ name: 'AbortError', isDomException: true });
});

test('a signal that has aborted already: nothing runs, and its own reason comes back', async ({ desk }) => {
  const settled = await desk.page.evaluate(
    ([text, labels]) => window.settle(window.desk.classify(text, { labels, threshold: 1, signal: AbortSignal.abort(new TypeError('own reason')) })),
    [TICKET, LABELS] as const,
  );
  expect(settled.error).toMatchObject({ name: 'TypeError', message: 'own reason' });
  expect(desk.requests).toEqual([]);
});

/** Milliseconds that the whole story takes. */
async function wholeStoryMs(page: Page): Promise<number> {
  const { value, ms } = await page.evaluate(
    (story) =>
      window.settle(
        (async () => {
          let pieces = 0;
          for await (const chunk of window.desk.chat.completions.create(story, { threshold: 0 })) if (chunk.choices[0].delta.content) pieces += 1;
          return pieces;
        })(),
      ),
    STORY,
  );
  expect(value).toBeGreaterThan(100);
  return ms;
}
