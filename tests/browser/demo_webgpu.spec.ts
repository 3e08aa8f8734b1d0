/** The demo on a GPU, here Chromium's software adapter: there and back without losing a word, and when the GPU is lost. */
import type { Page } from '@playwright/test';
import { backendChoice, counter, expect, expectAccessible, expectNothingLeft, fact, openFacts, startDemo, startedDemo, test } from './demo_fixtures.ts';

/** Both the load and an answer take long in software, on few cores. */
const GPU_TIMEOUT_MS = 120_000;
const TEXT = 'Refund me.';

/** In the worker: the device goes in the midst of the first classification, and no other comes. */
const LOSE_DEVICE = `{
  const { requestDevice } = GPUAdapter.prototype;
  const { requestAdapter } = GPU.prototype;
  const { submit } = GPUQueue.prototype;
  let device;
  let left = Infinity;
  GPUAdapter.prototype.requestDevice = async function (...options) {
    return (device ??= await requestDevice.apply(this, options));
  };
  GPU.prototype.requestAdapter = function (...options) {
    return left < 0 ? Promise.resolve(null) : requestAdapter.apply(this, options);
  };
  GPUQueue.prototype.submit = function (...buffers) {
    left -= 1;
    if (left === 0) device.destroy();
    return submit.apply(this, buffers);
  };
  self.addEventListener('message', ({ data }) => {
    if (data.verb === 'classify' && left === Infinity) left = 1;
  });
}`;

/** Few labels and few words make a short prompt. */
async function makeItShort(page: Page): Promise<void> {
  for (const label of ['technical problem', 'account access', 'cancellation', 'praise']) await page.getByRole('button', { name: `Remove label ${label}` }).click();
  await page.getByRole('textbox', { name: 'A message to sort' }).fill(TEXT);
}

async function answerSlowly(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run' }).click();
  await expect(page.locator('.answer-body[data-stale=false]')).toBeVisible({ timeout: GPU_TIMEOUT_MS });
}

test('goes to the GPU and back, keeps the text, and answers in both places', async ({ quiet }) => {
  const { page } = quiet;
  await makeItShort(page);
  await openFacts(page);
  await expect(fact(page, 'Why not the GPU')).toContainText('computes on the CPU');

  // Given up on the way, nothing has changed.
  await backendChoice(page, 'GPU').check();
  await expect(page.getByRole('progressbar', { name: /^Loading the model for the GPU/ })).toBeVisible();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await expect(backendChoice(page, 'Auto')).toBeChecked();
  await expect(page.locator('.readiness summary')).toBeFocused();
  await expect(fact(page, 'Runs on')).toContainText('CPU');

  await backendChoice(page, 'GPU').check();
  await expect(fact(page, 'Runs on')).toContainText('GPU, through WebGPU', { timeout: GPU_TIMEOUT_MS });
  await expect(fact(page, 'Adapter')).toContainText(/swiftshader, in software/i);
  await expect(page.getByTestId('backend-said')).toHaveText(/^The model computes on: GPU \(webgpu\), .*swiftshader/i);
  await expect(backendChoice(page, 'GPU')).toBeChecked();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await expect(page.locator('.readiness summary')).toContainText('GPU');
  await expect(page.getByRole('textbox', { name: 'A message to sort' })).toHaveValue(TEXT);
  await answerSlowly(page);
  await page.getByText('Details', { exact: true }).click();
  await expect(page.locator('.details')).toContainText(/Ran onGPU \(webgpu\), .*swiftshader/i);

  await openFacts(page);
  await backendChoice(page, 'CPU').check();
  await expect(fact(page, 'Why not the GPU')).toContainText('The CPU was chosen.', { timeout: GPU_TIMEOUT_MS });
  await page.keyboard.press('Escape');
  await answerSlowly(page);
  await expect(page.locator('.details')).toContainText(/Ran onCPU, \d+ threads?/);
  await expect(counter(page)).toContainText('0 bytes left this device');
  expectNothingLeft(quiet);
});

test('a GPU that is lost is told, and the answer comes from the CPU', async ({ browser }) => {
  const server = await startDemo({});
  const context = await browser.newContext();
  await context.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${LOSE_DEVICE}\n${await response.text()}` });
  });
  try {
    const { page } = await startedDemo(server, await context.newPage());
    await makeItShort(page);
    await openFacts(page);
    await backendChoice(page, 'GPU').check();
    await expect(fact(page, 'Runs on')).toContainText('GPU', { timeout: GPU_TIMEOUT_MS });
    await page.keyboard.press('Escape');
    await answerSlowly(page);
    await expect(page.locator('.readiness summary')).toContainText('CPU');
    await expect(page.getByTestId('backend-said')).toHaveText(/^The model computes on: CPU/);
    await openFacts(page);
    await expect(fact(page, 'Why not the GPU')).toContainText('The GPU device was lost.');
    await expect(page.getByRole('button', { name: 'Try the GPU again' })).toBeVisible();
  } finally {
    await context.close();
    await server.close();
  }
});
