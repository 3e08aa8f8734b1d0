/** Embeddings on a GPU, here Chromium's software adapter: what they are beside the CPU's, what stays on the CPU, and a device that is lost. */
import type { Page } from '@playwright/test';
import type { BackendChange, CreateOptions, LocalEmbeddings } from 'frontdesk';
import { createDesk, expect, openPage, test } from './fixtures.ts';
import { HeapWatch } from './heap_watch.ts';
import { LEARNT, OTHERS } from './task_examples.ts';

const options: CreateOptions = { model: null, reflex: 'minilm-l6', modelBaseUrl: '/models', mode: 'only_on_device' };
const onGpu: CreateOptions = { ...options, workerUrl: '/counting_worker.js', backend: 'webgpu' };

/** From nothing at all to more than is read: 1 to 256 tokens. */
const TEXTS = [
  'My card was charged twice for the same order.',
  '',
  'ok',
  'Wie setze ich mein Kennwort zurück? 🔑',
  '退款在哪里？ Где мой заказ? أين طلبي؟ e\u0301te\u0301 👩‍👩‍👧',
  'The courier left the parcel at a neighbour, who has moved since. '.repeat(9),
  'The printer on the second floor prints blank pages again. '.repeat(200),
  ...OTHERS.map(({ text }) => text),
];

interface Embedded extends Omit<LocalEmbeddings, 'embeddings'> {
  readonly vectors: number[][];
  /** Tokens read, and whether the text has more. */
  readonly lengths: [number, boolean][];
}

function embed(page: Page, texts: readonly string[]): Promise<Embedded> {
  return page.evaluate(async (texts) => {
    const { embeddings, ...rest } = await window.desk.embed(texts);
    return { ...rest, vectors: embeddings.map(({ vector }) => [...vector]), lengths: embeddings.map(({ tokens, isTruncated }) => [tokens, isTruncated]) };
  }, texts);
}

/** What the page's worker has sent to the GPU so far. */
function dispatches(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const channel = new BroadcastChannel('dispatches');
        channel.onmessage = ({ data }: MessageEvent<number>) => {
          channel.close();
          resolve(data);
        };
        channel.postMessage('how many?');
      }),
  );
}

/** The cosine of the two vectors of each text; all have length 1. */
function cosines({ vectors }: Embedded, { vectors: others }: Embedded): number[] {
  expect(vectors).toHaveLength(others.length);
  return vectors.map((vector, text) => vector.reduce((sum, value, index) => sum + value * (others[text]?.[index] ?? Number.NaN), 0));
}

/** Up to what the CPU's activations of 8 bits make of them: most of nothing, and of a word. */
function expectTheSame(found: Embedded, onCpu: Embedded): void {
  expect(found.lengths).toEqual(onCpu.lengths);
  for (const [text, cosine] of cosines(found, onCpu).entries()) {
    const [tokens = 0] = onCpu.lengths[text] ?? [];
    expect(cosine).toBeGreaterThan(tokens > 3 ? 0.9995 : 0.998);
  }
}

test('texts become the same vectors on a GPU as on the CPU, with the kernels of software and of hardware', async ({ page, site }) => {
  await openPage(page, site);
  expect(await createDesk(page, options)).toMatchObject({ reflex: { backend: 'wasm' } });
  const onCpu = await embed(page, TEXTS);
  expect(onCpu.backend).toBe('wasm');
  expect(onCpu.lengths.filter(([, isTruncated]) => isTruncated)).toEqual([[256, true]]);
  const embedOn = async (workerUrl: string, isSoftware: boolean) => {
    const info = await createDesk(page, { ...onGpu, workerUrl });
    // The desk answers in the reflex's name by its tasks, which are on the CPU.
    expect(info).toMatchObject({ backend: 'wasm', reflex: { backend: 'webgpu', adapter: { isSoftware } } });
    const earlier = await dispatches(page);
    const found = await embed(page, TEXTS);
    const sent = (await dispatches(page)) - earlier;
    console.log(`${workerUrl}: ${sent} dispatches, ${found.totalMs} ms, on the CPU ${onCpu.totalMs} ms`);
    expect(found.backend).toBe('webgpu');
    expect(sent).toBeGreaterThan(100);
    await page.evaluate(() => window.desk.destroy());
    return found;
  };
  const software = await embedOn('/counting_worker.js', true);
  // To what looks like hardware, work is given in another way, by other kernels.
  const hardware = await embedOn('/hardware_worker.js', false);
  // Both compute in single precision, the CPU with activations of 8 bits.
  expectTheSame(software, onCpu);
  expectTheSame(hardware, onCpu);
  const least = (found: Embedded, other: Embedded) => Math.min(...cosines(found, other));
  console.log(`cosines at least ${least(software, onCpu)} and ${least(hardware, onCpu)}, of each other ${least(software, hardware)}`);
  expect(least(software, hardware)).toBeGreaterThan(0.99999);
});

test('a task on a desk whose embeddings are on a GPU answers with the numbers that it has on the CPU', async ({ page, site }) => {
  await openPage(page, site);
  const learnAndAnswer = () =>
    page.evaluate(
      async ([learnt, texts]) => {
        await window.desk.task('tickets').learn(learnt);
        const answers = await window.desk.classify(texts, { task: 'tickets' });
        return answers.map(({ value, probabilities, model }) => ({ value, probabilities, backend: model?.backend }));
      },
      [LEARNT, OTHERS.map(({ text }) => text)] as const,
    );
  await createDesk(page, options);
  const expected = await learnAndAnswer();
  await page.evaluate(async () => {
    await window.desk.task('tickets').forget();
    await window.desk.destroy();
  });
  await createDesk(page, onGpu);
  const earlier = await dispatches(page);
  expect(await learnAndAnswer()).toEqual(expected);
  expect(expected[0]?.backend).toBe('wasm');
  expect(await dispatches(page)).toBe(earlier);
});

test('auto leaves embeddings on the CPU, whatever GPU there is', async ({ page, site }) => {
  await openPage(page, site);
  const info = await createDesk(page, { ...onGpu, workerUrl: '/hardware_worker.js', backend: 'auto' });
  expect(info?.reflex?.backend).toBe('wasm');
  expect((await embed(page, TEXTS)).backend).toBe('wasm');
  expect(await dispatches(page)).toBe(0);
});

test('a language model and its reflex are on the GPU together', async ({ page, site }) => {
  await openPage(page, site);
  const info = await createDesk(page, { ...onGpu, model: 'smollm2-135m-instruct', contextTokens: 512 });
  expect(info).toMatchObject({ id: 'smollm2-135m-instruct', backend: 'webgpu', reflex: { id: 'minilm-l6', backend: 'webgpu' } });
  const [text, { backend }] = await Promise.all([
    page.evaluate(async () => {
      const request = { messages: [{ role: 'user' as const, content: 'Name three colours.' }], max_tokens: 4 };
      return (await window.desk.chat.completions.create(request)).choices[0]?.message.content;
    }),
    embed(page, TEXTS.slice(0, 4)),
  ]);
  expect(text).not.toBe('');
  expect(backend).toBe('webgpu');
});

test('tells progress on the GPU, and stops when asked', async ({ page, site }) => {
  await openPage(page, site);
  await createDesk(page, onGpu);
  const { error, ms, progress } = await page.evaluate(async () => {
    const abort = new AbortController();
    const progress: number[] = [];
    let abortedAt = Infinity;
    const onProgress = ({ done }: { done: number }) => {
      progress.push(done);
      if (progress.length < 3) return;
      abortedAt = performance.now();
      abort.abort();
    };
    const texts = Array.from({ length: 2000 }, (_, index) => `ticket ${index} of some length about a payment that failed`);
    const { error } = await window.settle(window.desk.embed(texts, { signal: abort.signal, onProgress }));
    return { error, ms: performance.now() - abortedAt, progress };
  });
  expect(error).toMatchObject({ name: 'AbortError' });
  expect(ms).toBeLessThan(100);
  expect(progress).toHaveLength(3);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect((await embed(page, ['still here'])).backend).toBe('webgpu');
});

// What is lost twice in one call does not come back a third time.
for (const [query, backends] of [['', ['webgpu']], ['?last', ['wasm']], ['?each', ['webgpu', 'wasm']]] as const) {
  test(`a device that is lost in the midst of texts is no failure: they are embedded with ${backends.join(', then ')}`, async ({ page, site }) => {
    await openPage(page, site);
    await createDesk(page, options);
    const expected = await embed(page, TEXTS);
    await page.evaluate(
      async ([options, workerUrl]) => {
        window.changes = [];
        window.desk = await window.frontdesk.Frontdesk.create({ ...options, workerUrl, backend: 'webgpu', onBackendChange: (change) => window.changes.push(change) });
      },
      [options, `/losing_worker.js${query}`] as const,
    );
    const found = await embed(page, TEXTS);
    const changes = await page.evaluate(() => window.changes);
    expect(changes).toEqual(backends.map((backend): BackendChange => ({ model: 'reflex', backend, reason: 'the GPU device was lost' })));
    expect(found.backend).toBe(backends.at(-1));
    expectTheSame(found, expected);
    // And so does the next call.
    expect((await embed(page, ['still here'])).vectors).toHaveLength(1);
  });
}

test('a desk that demands a GPU is not made where there is none, for a reflex as for a language model', async ({ page, site }) => {
  await openPage(page, site);
  const refusals = [];
  for (const chosen of [{ model: null, reflex: 'minilm-l6' }, { model: 'smollm2-135m-instruct' }]) {
    const demand = { ...onGpu, ...chosen, workerUrl: '/no_adapter_worker.js' };
    const { error } = await page.evaluate((options) => window.settle(window.frontdesk.Frontdesk.create(options)), demand);
    refusals.push({ code: error?.code, message: error?.message, isFrontdeskError: error?.isFrontdeskError });
  }
  expect(refusals[0]).toMatchObject({ code: 'backend', isFrontdeskError: true });
  expect(refusals[0]).toEqual(refusals[1]);
});

test('a reflex on the GPU takes little more memory while it loads than one on the CPU', async ({ page, site }) => {
  await openPage(page, site);
  const load = async (options: CreateOptions) => {
    const watch = await HeapWatch.start(page);
    const info = await createDesk(page, options);
    await watch.stop();
    await page.evaluate(() => window.desk.destroy());
    return { wasm: info?.memoryBytes ?? Infinity, javascript: watch.peak, samples: watch.samples, ms: info?.timing.loadMs };
  };
  // The first visit is another matter: the file is fetched.
  await load(options);
  const cpu = await load(options);
  const gpu = await load(onGpu);
  console.log('CPU', cpu, 'GPU', gpu);
  expect(gpu.samples).toBeGreaterThan(20);
  expect(gpu.wasm + gpu.javascript).toBeLessThan(cpu.wasm + cpu.javascript + 12e6);
  expect(gpu.wasm + gpu.javascript).toBeLessThan(64e6);
});
