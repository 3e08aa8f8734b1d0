/** Options that change while a call waits or runs: it ends, its text stays, and nothing leaves that the new options do not promise. */
import type { Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, ARTICLE, box, chooseMode, connectOffice, counter, expect, label, openOptions, openPanel, press, ready, save, test, TICKET, write } from './extension_fixtures.ts';

test.describe.configure({ timeout: 120_000 });

async function change(page: Page, part: object): Promise<void> {
  await page.evaluate(async (changed) => {
    const { settings } = await chrome.storage.local.get('settings');
    await chrome.storage.local.set({ settings: { ...(settings as object), ...changed } });
  }, part);
}

for (const mode of ['prefer_on_device', 'cascade'] as const) {
  test(`a text that waits for the model under “Back office first” is not sent once the options say ${mode}`, async ({ extension, office }) => {
    const options = await openOptions(extension);
    await connectOffice(options, office);
    await chooseMode(options, 'Back office first');
    await options.getByRole('slider').fill('0');
    await save(options);
    const panel = await openPanel(extension);
    await write(panel, TICKET);
    await press(panel, 'Classify');
    expect(await panel.getByTestId('readiness').getAttribute('data-phase'), 'the model still starts').toBe('starting');
    await change(panel, { mode });
    await expect(panel.getByRole('alert')).toContainText('The options changed meanwhile.', { timeout: ANSWER_TIMEOUT_MS });
    await expect(panel.getByRole('alert')).toContainText('Your text is still in the box.');
    await expect(box(panel)).toHaveValue(TICKET);
    await ready(panel);
    // The engine is free, and does what the new options say.
    await press(panel, 'Classify');
    await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
    await expect(counter(panel)).toContainText('0 bytes');
    expect(office.log).toEqual([]);
  });
}

test('a text that is being read under “Ask when unsure” is not sent once the options say “Here first”', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Ask when unsure');
  await options.getByRole('slider').fill('1');
  await save(options);
  const panel = await openPanel(extension);
  await ready(panel);
  await write(panel, ARTICLE.repeat(20));
  await press(panel, 'Route');
  await expect(panel.locator('.reading progress[value]')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await change(panel, { mode: 'prefer_on_device' });
  await expect(panel.getByRole('alert')).toContainText('The options changed meanwhile.');
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  expect(office.log).toEqual([]);
});

test('a text that the back office has already says so in its receipt when the options change', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Only back office');
  await save(options);
  const panel = await openPanel(extension);
  office.upstream.behaviour = 'hang';
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect.poll(() => office.upstream.bodies.length).toBe(1);
  // Another engine's page takes over.
  await change(panel, { mode: 'only_on_device' });
  await expect(panel.getByRole('alert')).toContainText('The options changed meanwhile.');
  await expect.poll(() => office.upstream.abandoned).toBe(1);
  await ready(panel);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(1);
  await expect(panel.locator('.ledger-why')).toContainText('Stopped before the answer was there.');
});
