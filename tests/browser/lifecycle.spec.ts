/** The desk's life: several calls at once, destroy, a dead worker, files in other places. */
import { createDesk, expect, LABELS, openPage, test, TICKET, toUpstream } from './fixtures.ts';

test('calls at the same time get the answers that they would get one by one', async ({ desk }) => {
  const texts = [TICKET, 'My parcel has not arrived yet and the tracking page shows nothing.', 'I forgot my password.'];
  const { together, alone } = await desk.page.evaluate(
    async ([texts, labels]) => {
      const ask = async (text: string) => (await window.desk.classify(text, { labels, threshold: 0 })).probabilities;
      const alone = [];
      for (const text of texts) alone.push(await ask(text));
      return { alone, together: await Promise.all(texts.map(ask)) };
    },
    [texts, LABELS] as const,
  );
  const others = together.flat().map(({ probability }) => probability);
  // What is in the cache differs, and with it the rounding.
  for (const [index, { probability }] of alone.flat().entries()) expect(others[index]).toBeCloseTo(probability, 1);
  expect(Math.abs((alone[0]?.[0]?.probability ?? 0) - (alone[2]?.[0]?.probability ?? 0))).toBeGreaterThan(0.1);
});

test('destroy ends what runs, may be called twice, and later calls reject', async ({ desk, site }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  await createDesk(page, { modelBaseUrl: '/models' });
  const { running, later, chat } = await page.evaluate(
    async ([text, labels]) => {
      const running = window.settle(window.desk.classify(text.repeat(20), { labels, threshold: 0 }));
      await window.desk.destroy();
      await window.desk.destroy();
      const later = await window.settle(window.desk.classify(text, { labels }));
      const chat = await window.settle(window.desk.chat.completions.create({ messages: [{ role: 'user', content: 'hello' }] }));
      return { running: await running, later, chat };
    },
    [TICKET, LABELS] as const,
  );
  for (const { error } of [running, later, chat]) expect(error).toMatchObject({ code: 'destroyed', isFrontdeskError: true });
  await page.close();
});

for (const [text, code] of [['die', 'worker_died'], ['trap', 'engine_crashed']] as const) {
  test(`a worker told to ${text} fails its calls with ${code}, and the next call starts another`, async ({ desk, site, upstream }) => {
    const page = await openPage(await desk.page.context().newPage(), site);
    await createDesk(page, { modelBaseUrl: '/models', workerUrl: '/mortal_worker.js', mode: 'only_on_device' });
    const { died, waiting, next } = await page.evaluate(
      async ([deadly, text, labels]) => {
        const calls = [window.desk.classify(deadly, { labels }), window.desk.classify(text, { labels })].map((call) => window.settle(call));
        const [died, waiting] = await Promise.all(calls);
        return { died, waiting, next: await window.settle(window.desk.classify(text, { labels })) };
      },
      [text, TICKET, LABELS] as const,
    );
    for (const settled of [died, waiting]) expect(settled?.error).toMatchObject({ code, isFrontdeskError: true });
    expect(next.value).toMatchObject({ value: 'billing', source: 'device' });
    expect([toUpstream(desk.requests), upstream.bodies]).toEqual([[], []]);
    await page.close();
  });
}

test('a worker or a module that is not there is a typed error', async ({ page, site }) => {
  await openPage(page, site);
  const worker = await page.evaluate(() => window.settle(window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models', workerUrl: '/no_such_worker.js' })));
  expect(worker.error).toMatchObject({ code: 'worker_died', isFrontdeskError: true });
  const wasm = await page.evaluate(() => window.settle(window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models', wasmUrl: '/no_such_folder' })));
  expect(wasm.error).toMatchObject({ code: 'module_load_failed', isFrontdeskError: true });
});

test('a worker of another origin is a typed error', async ({ page, site, isolatedSite }) => {
  await openPage(page, site);
  const { error } = await page.evaluate(
    (workerUrl) => window.settle(window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models', workerUrl })),
    `${isolatedSite.origin}/sdk/worker.js`,
  );
  expect(error).toMatchObject({ code: 'worker_died', message: expect.stringContaining('could not be started'), isFrontdeskError: true });
});

test('the WebAssembly files may lie elsewhere', async ({ desk, site }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  desk.requests.length = 0;
  const info = await createDesk(page, { modelBaseUrl: '/models', wasmUrl: '/sdk/wasm/' });
  const variant = info?.variant ?? 'none';
  expect(desk.requests).toContain(`GET ${site.origin}/sdk/wasm/${variant}/frontdesk_bg.wasm`);
  const others = desk.requests.filter((request) => request.includes('/wasm/') && !request.includes(`/wasm/${variant}/`));
  expect(others).toEqual([]);
  await page.close();
});

test('a browser without relaxed SIMD gets the plain module, and the same answer', async ({ desk, site }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  desk.requests.length = 0;
  const info = await createDesk(page, { modelBaseUrl: '/models', workerUrl: '/worker_without_relaxed_simd.js' });
  expect(info?.variant).toBe('simd');
  expect(desk.requests.filter((request) => request.includes('/wasm/'))).toEqual([
    `GET ${site.origin}/sdk/wasm/simd/frontdesk.js`,
    `GET ${site.origin}/sdk/wasm/simd/frontdesk_bg.wasm`,
  ]);
  const plain = await page.evaluate(([text, labels]) => window.settle(window.desk.classify(text, { labels, threshold: 0 })), [TICKET, LABELS] as const);
  const relaxed = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(plain.value?.value).toBe(relaxed.value?.value);
  // The two round differently.
  expect(plain.value?.confidence).toBeCloseTo(relaxed.value?.confidence ?? Number.NaN, 1);
  await page.close();
});

test('no call loosens a desk that was made with only_on_device', async ({ desk, site, upstream }) => {
  const page = await openPage(await desk.page.context().newPage(), site);
  await createDesk(page, { modelBaseUrl: '/models', mode: 'only_on_device' });
  for (const mode of ['cascade', 'prefer_on_device', 'prefer_in_cloud', 'only_in_cloud'] as const) {
    const { error } = await page.evaluate(
      ([text, labels, mode]) => window.settle(window.desk.classify(text, { labels, mode, threshold: 1 })),
      [TICKET, LABELS, mode] as const,
    );
    expect(error).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
  }
  expect([toUpstream(desk.requests), upstream.bodies]).toEqual([[], []]);
  await page.close();
});
