/** The language model on a GPU, here Chromium's software adapter: answers, choice of backend, and a device that is lost. */
import type { Page } from '@playwright/test';
import type { BackendChange, CreateOptions } from 'frontdesk';
import { createDesk, expect, openPage, test } from './fixtures.js';

const options: CreateOptions = { modelBaseUrl: '/models', mode: 'only_on_device', contextTokens: 512 };

/** The text of a short greedy completion. */
function complete(page: Page, maxTokens: number): Promise<string> {
  return page.evaluate(async (maxTokens) => {
    const request = { messages: [{ role: 'user' as const, content: 'Name three colours.' }], max_tokens: maxTokens };
    const completion = await window.desk.chat.completions.create(request);
    return completion.choices[0]?.message.content ?? '';
  }, maxTokens);
}

test('a model on the GPU says what it says on the CPU, and labels as it does', async ({ page, site }) => {
  await openPage(page, site);
  const classify = () => page.evaluate(() => window.desk.classify('I was charged twice.', { labels: ['billing', 'shipping'] }));
  const onCpu = await createDesk(page, options);
  expect(onCpu).toMatchObject({ backend: 'wasm' });
  const expected = { text: await complete(page, 12), answer: await classify() };
  const onGpu = await createDesk(page, { ...options, backend: 'webgpu' });
  expect(onGpu).toMatchObject({ backend: 'webgpu', adapter: { isSoftware: true } });
  expect(await complete(page, 12)).toBe(expected.text);
  const answer = await classify();
  expect(answer.value).toBe(expected.answer.value);
  // Activations have 8 bits there and single precision here; tasks are calibrated on the encoder, which stays on the CPU.
  expect(Math.abs((answer.confidence ?? 0) - (expected.answer.confidence ?? 1))).toBeLessThan(0.1);
});

test('auto leaves software adapters alone and says why', async ({ page, site }) => {
  await openPage(page, site);
  const info = await createDesk(page, { ...options, backend: 'auto' });
  expect(info?.backend).toBe('wasm');
  expect(info?.backendReason).toMatch(/computes on the CPU|no GPU adapter|no WebGPU/);
});

for (const [query, backend] of [['', 'webgpu'], ['?last', 'wasm']] as const) {
  test(`a device that is lost in the midst of an answer is no failure: it goes on with ${backend}`, async ({ page, site }) => {
    await openPage(page, site);
    await createDesk(page, options);
    const expected = await complete(page, 16);
    const { text, changes } = await page.evaluate(
      async ([options, workerUrl]) => {
        const changes: BackendChange[] = [];
        window.desk = await window.frontdesk.Frontdesk.create({ ...options, workerUrl, backend: 'webgpu', onBackendChange: (change) => changes.push(change) });
        const request = { messages: [{ role: 'user' as const, content: 'Name three colours.' }], max_tokens: 16, stream: true as const };
        let text = '';
        for await (const chunk of window.desk.chat.completions.create(request)) text += chunk.choices[0]?.delta.content ?? '';
        return { text, changes };
      },
      [options, `/losing_worker.js${query}`] as const,
    );
    expect(changes).toEqual([{ backend, reason: 'the GPU device was lost' }]);
    expect(text).toBe(expected);
    // And so does the next call.
    expect(await complete(page, 4)).not.toBe('');
  });
}
