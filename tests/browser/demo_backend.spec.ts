/** Where the demo computes, in a browser whose GPU is missing: what it says, the switch, and what is refused. */
import { answer, answered, backendChoice, expect, expectAccessible, expectNothingLeft, fact, openFacts, ready, sidewaysScroll, tabTo, test, visitAgain } from './demo_fixtures.ts';

test('says where it computes, and why not on the GPU', async ({ quiet }) => {
  const { page } = quiet;
  await openFacts(page);
  await expect(fact(page, 'Runs on')).toContainText(/CPU, \d+ threads?, (relaxed )?SIMD/);
  await expect(fact(page, 'Why not the GPU')).toContainText('There is no GPU adapter');
  await expect(backendChoice(page, 'Auto')).toBeChecked();
  // Words can be selected without closing what they stand in.
  await fact(page, 'Runs on').click();
  await expect(fact(page, 'Runs on')).toBeVisible();
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await expectAccessible(page);
  expect(await sidewaysScroll(page)).toBe(0);
  await page.keyboard.press('Escape');
  await answer(page);
  await page.getByText('Details', { exact: true }).click();
  await expect(page.locator('.details')).toContainText(/Ran onCPU, \d+ threads?/);
});

test('a GPU that is refused is told in words, and the CPU goes on answering', async ({ quiet }) => {
  const { page } = quiet;
  const box = page.getByRole('textbox', { name: 'A message to sort' });
  await box.fill('My own words, which stay.');
  await tabTo(page, (await page.locator('.readiness summary').textContent()) ?? '');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await expect(backendChoice(page, 'Auto')).toBeFocused();
  // Arrows wrap around.
  await page.keyboard.press('ArrowLeft');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('The GPU cannot be used.');
  await expect(alert).toContainText('The CPU goes on answering. Your text is still in the box.');
  await expect(alert).toContainText('backend: there is no GPU adapter');
  await expectAccessible(page);
  await expect(page.locator('.readiness summary')).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(backendChoice(page, 'Auto')).toBeChecked();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Close' }).click();
  await expect(alert).toBeHidden();
  await expect(box).toHaveValue('My own words, which stay.');
  await page.getByRole('button', { name: 'Run' }).click();
  await answered(page);
  expect(await page.evaluate(() => localStorage.getItem('frontdesk-demo'))).toBe(null);
  expectNothingLeft(quiet);
});

test('keeps the choice, and starts on the CPU where a GPU that was chosen is gone', async ({ quiet }) => {
  const { page } = quiet;
  await openFacts(page);
  await backendChoice(page, 'CPU').check();
  await expect(fact(page, 'Why not the GPU')).toContainText('The CPU was chosen.');
  await visitAgain(quiet, { keep: true });
  await openFacts(page);
  await expect(backendChoice(page, 'CPU')).toBeChecked();
  await expect(fact(page, 'Why not the GPU')).toContainText('The CPU was chosen.');

  await page.evaluate(() => localStorage.setItem('frontdesk-demo', JSON.stringify({ backend: 'webgpu' })));
  await visitAgain(quiet, { keep: true });
  await expect(page.getByRole('alert')).toContainText('The GPU cannot be used.');
  await answer(page);
  await openFacts(page);
  await expect(fact(page, 'Why not the GPU')).toContainText('There is no GPU adapter');
  await expect(backendChoice(page, 'GPU')).toBeChecked();
  await expect(page.getByRole('button', { name: 'Try the GPU again' })).toBeVisible();
});

test('without WebGPU the switch says so', async ({ quiet }) => {
  const page = await quiet.page.context().newPage();
  try {
    await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'gpu'));
    await page.goto(quiet.origin);
    await ready(page);
    await openFacts(page);
    await expect(page.getByRole('group', { name: 'Compute on' })).toHaveAccessibleDescription('This browser has no WebGPU, so the model computes on the CPU.');
    for (const name of ['Auto', 'CPU', 'GPU'] as const) await expect(backendChoice(page, name)).toBeDisabled();
    await expectAccessible(page);
  } finally {
    await page.close();
  }
});
