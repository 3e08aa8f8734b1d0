/** The demo as a visitor meets it: first visit, answers without a back office, keyboard, phone, colours. */
import {
  ANSWER_TIMEOUT_MS,
  answer,
  answered,
  counter,
  expect,
  expectAccessible,
  expectBars,
  expectNothingLeft,
  firstVisit,
  ready,
  sentence,
  setThreshold,
  sidewaysScroll,
  startDemo,
  startedDemo,
  tabTo,
  test,
  visitAgain,
  withModelsFolder,
} from './demo_fixtures.ts';

test.describe('first visit', () => {
  test('nothing big is fetched before the visitor says so; then an answer comes and nothing leaves', async ({ page }) => {
    const server = await startDemo({});
    try {
      const demo = await firstVisit(server, page);
      const start = page.getByRole('button', { name: 'Download 124 MB and start' });
      await expect(start).toBeVisible();
      await expect(page.getByText('98 MB for the language model, 25 MB for the small model')).toBeVisible();
      await expect(page.getByRole('tabpanel', { name: 'Ask' }).getByText('Start the model first.')).toBeVisible();
      expect(demo.requests.filter((request) => request.includes('/models/'))).toEqual([]);
      await expectAccessible(page);

      await start.click();
      await ready(page);
      // In parts: of each file several.
      expect(new Set(demo.requests.filter((request) => request.includes('/models/'))).size).toBe(2);
      await expect(page.getByRole('button', { name: 'Run' })).toBeFocused();

      await page.getByRole('button', { name: 'Locked out' }).click();
      await expect(page.getByRole('textbox', { name: 'A message to sort' })).toHaveValue(/login code/);
      await answer(page);
      await expectBars(page, 6);
      await page.getByRole('button', { name: 'Kind words' }).click();
      await expect(page.getByText('to the text before')).toBeVisible();
      await expect(counter(page)).toContainText('0 bytes left this device');
      await expect(page.getByText('Nothing has left this device.')).toBeVisible();
      expectNothingLeft(demo);
    } finally {
      await server.close();
    }
  });

  test('a server without the model file says so, and what to do', async ({ page }) => {
    await withModelsFolder(undefined, async (server) => {
      await firstVisit(server, page);
      await page.getByRole('button', { name: 'Download and start' }).click();
      const alert = page.getByRole('alert');
      await expect(alert).toContainText('The model file is not on this server.');
      await expect(alert).toContainText('Nothing was sent.');
      await expect(alert).toContainText('./build.sh demo');
      await expectAccessible(page);
    });
  });

  test('a wrong file is refused in words, and can be tried again', async ({ page }) => {
    await withModelsFolder('not a model', async (server) => {
      await firstVisit(server, page);
      await page.getByRole('button', { name: /^Download .* and start$/ }).click();
      await expect(page.getByRole('alert')).toContainText('The model file has the wrong length.');
      await page.getByRole('button', { name: 'Try again' }).click();
      await expect(page.getByRole('alert')).toContainText('No half file is used.');
    });
  });

  test('works without cross-origin isolation, and says how to get more threads', async ({ page }) => {
    const server = await startDemo({}, ['--no-isolation']);
    try {
      await startedDemo(server, page);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
      await page.locator('summary', { hasText: '1 thread' }).click();
      await expect(page.getByText('This page is not cross-origin isolated')).toBeVisible();
      await page.keyboard.press('Escape');
      await expect(page.getByText('This page is not cross-origin isolated')).toBeHidden();
      await answer(page);
    } finally {
      await server.close();
    }
  });
});

test.describe('without a back office', () => {
  test('an unsure answer says that it would escalate, and shows the best guess', async ({ quiet }) => {
    const { page } = quiet;
    await setThreshold(page, 1);
    await answer(page);
    await expect(sentence(page)).toContainText(/^Would escalate, because the model was only \d+% sure \(100% needed\): no back office is configured; this is the local best guess/);
    await expectBars(page, 6);
    await expect(page.getByRole('radio', { name: 'Only back office' })).toBeDisabled();
    await expect(counter(page)).toContainText('0 bytes left this device');
    expectNothingLeft(quiet);
  });

  test('a sure answer says so, with time, model and speed', async ({ quiet }) => {
    const { page } = quiet;
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await setThreshold(page, 0);
    await answer(page);
    await expect(sentence(page)).toHaveText(/^Answered here in [\d.]+ (ms|s)\.$/);
    await page.getByText('Details', { exact: true }).click();
    const details = page.locator('.details');
    await expect(details).toContainText('b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53');
    await expect(page.locator('.answer-speed')).toHaveText(/^Read here: [\d,]+ tokens, [\d.,]+ tokens per second$/);
    await expect(details).toContainText('Time at the back officenot asked');
    await expect(details).toContainText('Left the devicenothing');
  });

  test('everything can be done by keyboard', async ({ quiet }) => {
    const { page } = quiet;
    await setThreshold(page, 0);
    await page.locator('body').evaluate((body) => {
      body.tabIndex = -1;
      body.focus();
    });
    await tabTo(page, 'Parcel missing');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('textbox', { name: 'A message to sort' })).toHaveValue(/parcel/);
    await tabTo(page, 'Add a label, then press Enter');
    await page.keyboard.type('lost property');
    await page.keyboard.press('Enter');
    await expect(page.getByLabel('Label 7')).toHaveValue('lost property');
    await tabTo(page, 'Run');
    await page.keyboard.press('Enter');
    await answered(page);
    await expectBars(page, 7);

    await page.getByLabel('Label 7').focus();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('neighbours');
    await page.keyboard.press('Control+Enter');
    await expect(page.locator('.bar-label', { hasText: 'neighbours' })).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
    await tabTo(page, 'Remove label neighbours');
    await page.keyboard.press('Enter');
    await expect(page.getByLabel('Label 7')).toHaveCount(0);
  });

  test('the answer is announced once', async ({ quiet }) => {
    const { page } = quiet;
    await setThreshold(page, 0);
    await page.evaluate(() => {
      const said: string[] = [];
      Object.assign(window, { said });
      const regions = document.querySelectorAll('[role=status]');
      const observer = new MutationObserver((changes) => {
        for (const { target } of changes) {
          const words = (target instanceof Element ? target : target.parentElement)?.textContent ?? '';
          if (words !== '') said.push(words);
        }
      });
      for (const region of regions) observer.observe(region, { childList: true, characterData: true, subtree: true });
    });
    await answer(page);
    const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^[a-z ]+, \d+% sure\. Answered here in /);
  });

  test('goes on answering offline', async ({ quiet }) => {
    const { page } = quiet;
    await page.context().setOffline(true);
    try {
      await expect(page.getByText('You are offline.')).toBeVisible();
      await answer(page);
      expectNothingLeft(quiet);
    } finally {
      await page.context().setOffline(false);
    }
    await expect(page.getByText('You are offline.')).toBeHidden();
  });

  test('a reply draft streams, can be stopped, and stays', async ({ quiet }) => {
    const { page } = quiet;
    await page.getByRole('radio', { name: 'Only here' }).check();
    await page.getByRole('tab', { name: 'Reply draft' }).click();
    await page.getByRole('button', { name: 'Draft a reply' }).click();
    const draft = page.getByTestId('draft-text');
    await expect(draft).not.toContainText(/appears here|Reading/, { timeout: ANSWER_TIMEOUT_MS });
    await page.getByRole('tabpanel', { name: 'Reply draft' }).getByRole('button', { name: 'Stop' }).click();
    await expect(page.getByText('Stopped. What was written so far stays.')).toBeVisible();
    const written = await draft.textContent();
    expect(written?.length).toBeGreaterThan(0);

    await page.getByRole('button', { name: 'Draft again' }).click();
    await expect(page.locator('.draft .answer-sentence')).toContainText('Answered here in', { timeout: ANSWER_TIMEOUT_MS });
    await expect(page.locator('.draft .run-hint')).toContainText(/\d+ tokens, [\d.,]+ tokens per second/);
    expectNothingLeft(quiet);
  });

  test('keeps theme, mode and labels, and never the text', async ({ quiet }) => {
    const { page } = quiet;
    await page.getByRole('textbox', { name: 'A message to sort' }).fill('A secret that must not be stored.');
    await page.getByRole('radio', { name: 'Here first' }).check();
    await page.getByRole('button', { name: /^Theme: Auto/ }).click();
    await page.getByRole('button', { name: 'Remove label praise' }).click();
    await answer(page);
    const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    expect(stored).not.toContain('secret');

    await visitAgain(quiet, { keep: true });
    await expect(page.getByRole('radio', { name: 'Here first' })).toBeChecked();
    await expect(page.locator('html')).toHaveAttribute('data-theme', 'light');
    await expect(page.getByRole('button', { name: 'Remove label praise' })).toHaveCount(0);
    await expect(page.getByRole('textbox', { name: 'A message to sort' })).not.toHaveValue(/secret/);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`is accessible in ${colorScheme}, on a laptop and on a phone`, async ({ quiet }) => {
      const { page } = quiet;
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await answer(page);
      await page.getByText('Details', { exact: true }).click();
      await expectAccessible(page);
      await page.getByRole('tab', { name: 'Reply draft' }).click();
      await expectAccessible(page);
      await page.setViewportSize({ width: 360, height: 740 });
      await expectAccessible(page);
    });
  }

  test('fits a phone without scrolling sideways, and brings the answer into view', async ({ quiet }) => {
    const { page } = quiet;
    await page.setViewportSize({ width: 360, height: 740 });
    await page.getByRole('combobox', { name: 'Who answers' }).selectOption('Only here');
    await page.getByRole('button', { name: 'Run' }).click();
    await answered(page);
    await expect(page.getByTestId('answer-value')).toBeInViewport();
    await expect(counter(page)).toBeInViewport();
    await page.getByText('Details', { exact: true }).click();
    await expect.poll(() => sidewaysScroll(page)).toBe(0);
  });

  test('shows the answer on a laptop without scrolling', async ({ quiet }) => {
    const { page } = quiet;
    await answer(page);
    await expect(page.getByTestId('answer-value')).toBeInViewport({ ratio: 1 });
    await expect(page.locator('.bars')).toBeInViewport({ ratio: 1 });
    await expect(page.getByRole('button', { name: 'Run' })).toBeInViewport({ ratio: 1 });
    expect(await page.evaluate(() => scrollY)).toBe(0);
  });
});
