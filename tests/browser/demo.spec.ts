/** The tab “Decide” without a back office: who answers, what it says, keyboard, phone, what is kept. */
import {
  answer,
  ANSWER_TIMEOUT_MS,
  answered,
  counter,
  expect,
  expectBars,
  expectNothingLeft,
  firstAnswer,
  sentence,
  setThreshold,
  sidewaysScroll,
  tabTo,
  test,
  useOtherLabels,
  visitAgain,
} from './demo_fixtures.ts';

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

  test('the small model answers for labels that it has learnt, and says so', async ({ quiet }) => {
    const { page } = quiet;
    await page.getByRole('button', { name: 'Parcel missing' }).click();
    await answer(page);
    await expect(page.getByTestId('answer-value')).toHaveText('delivery');
    await firstAnswer(page);
    await page.getByText('Details', { exact: true }).click();
    const details = page.locator('.details');
    await expect(details).toContainText('Modelminilm-l6');
    await expect(details).toContainText('Guaranteenone');
    expectNothingLeft(quiet);
  });

  test('a text unlike all that was learnt would escalate, however sure the small model is', async ({ quiet }) => {
    const { page } = quiet;
    await page.getByRole('textbox', { name: 'A message to sort' }).fill('Prove by induction that the sum of the first n odd numbers is a square.');
    await setThreshold(page, 0);
    await answer(page);
    await expect(sentence(page)).toContainText(/^Would escalate, because the text is unlike all that was learnt: no back office is configured/);
  });

  test('other labels take the language model, which says that it has learnt nothing', async ({ quiet }) => {
    const { page } = quiet;
    await useOtherLabels(page);
    await answer(page);
    await expect(page.getByTestId('answer-by')).toHaveText('The language model answered; it has learnt nothing about these labels. There is no guarantee.');
    await page.getByRole('button', { name: 'Use the sample labels' }).click();
    await expect(page.getByTestId('who-answers')).toHaveText('The small model has learnt these, from 120 sample messages.');
    await expect(page.getByLabel('Label 6')).toHaveValue('praise');
    await answer(page);
    await firstAnswer(page);
  });

  test('a sure answer says so, with time, model and speed', async ({ quiet }) => {
    const { page } = quiet;
    await useOtherLabels(page);
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

  test('goes on answering offline, with both models', async ({ quiet }) => {
    const { page } = quiet;
    await page.context().setOffline(true);
    try {
      await expect(page.getByText('You are offline.')).toBeVisible();
      await answer(page);
      await useOtherLabels(page);
      await answer(page);
      expectNothingLeft(quiet);
    } finally {
      await page.context().setOffline(false);
    }
    await expect(page.getByText('You are offline.')).toBeHidden();
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
