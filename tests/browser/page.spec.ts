/** The page itself: it stays alive while the model works, with and without cross-origin isolation. */
import { createDesk, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';

/** About 1050 tokens. */
const LONG_TEXT = 'The printer on the second floor prints blank pages again and nobody knows why. '.repeat(66);

test('while 1000 tokens are prefilled, the page keeps its beat', async ({ desk }) => {
  const { idle, busy, settled } = await desk.page.evaluate(
    async ([text, labels]) => {
      /** Frames and timers per second while `work` goes on. */
      const beatsDuring = async (work: Promise<unknown>) => {
        let frames = 0;
        let timers = 0;
        let going = true;
        const onFrame = () => {
          frames += 1;
          if (going) requestAnimationFrame(onFrame);
        };
        const onTimer = () => {
          timers += 1;
          if (going) setTimeout(onTimer, 10);
        };
        const start = performance.now();
        onFrame();
        onTimer();
        await work;
        going = false;
        const seconds = (performance.now() - start) / 1000;
        return { frames: frames / seconds, timers: timers / seconds };
      };
      const idle = await beatsDuring(new Promise((resolve) => setTimeout(resolve, 1500)));
      const working = window.settle(window.desk.classify(text, { labels, threshold: 0 }));
      const busy = await beatsDuring(working);
      return { idle, busy, settled: await working };
    },
    [LONG_TEXT, LABELS] as const,
  );
  expect(settled.value?.local?.usage.promptTokens).toBeGreaterThan(1000);
  expect(settled.value?.local?.usage.cachedTokens).toBeLessThan(400);
  // Work on the page's own thread would leave next to nothing of this.
  expect(busy.frames).toBeGreaterThan(idle.frames * 0.4);
  expect(busy.timers).toBeGreaterThan(idle.timers * 0.4);
});

for (const isolated of [false, true]) {
  test(`a ticket is classified ${isolated ? 'with' : 'without'} the headers of cross-origin isolation`, async ({ page, site, isolatedSite }) => {
    const here = isolated ? isolatedSite : site;
    await openPage(page, here);
    const before = await page.evaluate(() => window.frontdesk.Frontdesk.availability());
    expect(before).toMatchObject({ status: 'downloadable', crossOriginIsolated: isolated });
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    expect(before.threads > 1).toBe(isolated && cores > 1);
    const info = await createDesk(page, { modelBaseUrl: '/models' });
    expect(info).toMatchObject({ cached: true, architecture: 'llama', contextTokens: 2048 });
    expect(info?.variant).toBe(before.variant);
    here.log.length = 0;
    const { value } = await page.evaluate(
      ([text, labels]) => window.settle(window.desk.classify(text, { labels, threshold: 0 })),
      [TICKET, LABELS] as const,
    );
    expect(value).toMatchObject({ value: 'billing', source: 'device', reason: 'confident' });
    expect(here.log).toEqual([]);
  });
}
