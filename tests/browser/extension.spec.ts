/** The extension through its own panel: selections and written text are classified, routed and summarised on the device. */
import { ANSWER_TIMEOUT_MS, ARTICLE, box, chooseFromMenu, connectOffice, counter, expect, label, openOptions, openPanel, press, ready, save, test, TICKET, write } from './extension_fixtures.ts';
import { expectAccessible, sidewaysScroll, tabTo } from './demo_fixtures.ts';

test.describe.configure({ timeout: 120_000 });

test('a selection is classified: the label, bars that add up, and where the answer came from', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  await chooseFromMenu(extension, office, { job: 'classify', id: 'ticket' });
  await expect(label(panel)).toHaveText(/^(billing|delivery|technical|other)$/, { timeout: ANSWER_TIMEOUT_MS });
  await expect(box(panel)).toHaveValue(TICKET);
  await expect(panel.getByTestId('answer-sentence')).toHaveText(/^Answered here in /);
  await expect(panel.locator('.bar')).toHaveCount(4);
  const figures = (await panel.locator('.bar-figure').allTextContents()).map((figure) => (figure.startsWith('<') ? 0 : Number.parseInt(figure, 10)));
  expect(figures).toEqual([...figures].sort((a, b) => b - a));
  expect(Math.abs(figures.reduce((sum, figure) => sum + figure, 0) - 100)).toBeLessThan(4);
  await expect(counter(panel)).toContainText('0 bytes');
});

test('a selection is routed to a queue, and to a person where more sureness is asked for than there is', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await options.getByRole('slider').fill('0');
  await save(options);
  const panel = await openPanel(extension);
  await chooseFromMenu(extension, office, { job: 'route', id: 'ticket' });
  await expect(panel.getByTestId('route-value')).toHaveText(/^(Billing|Shipping|Technical support)$/, { timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.locator('.bar-threshold').first()).toHaveCSS('left', '0px');

  await options.getByRole('slider').fill('1');
  await save(options);
  await chooseFromMenu(extension, office, { job: 'route', id: 'ticket' });
  await expect(panel.getByTestId('route-value')).toHaveText('A person', { timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.getByTestId('route-sentence')).toHaveText(/^A person should look: the model was only \d+% sure of “.+” \(100% needed\)\.$/);
  await expectAccessible(panel);
});

test('a selection is summarised word by word, and Stop ends it', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  await panel.evaluate(() => {
    const lengths: number[] = [];
    Object.assign(globalThis, { lengths });
    new MutationObserver(() => lengths.push(document.querySelector('[data-testid=summary]')?.textContent.length ?? 0)).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
  await chooseFromMenu(extension, office, { job: 'summarise', id: 'article' });
  await expect(panel.getByTestId('summary-sentence')).toHaveText(/^Answered here in /, { timeout: ANSWER_TIMEOUT_MS });
  const lengths = new Set(await panel.evaluate(() => (globalThis as unknown as { lengths: number[] }).lengths));
  expect(lengths.size).toBeGreaterThan(5);
  await expect(panel.getByTestId('summary')).toContainText(/bridge/);

  await panel.bringToFront();
  await press(panel, 'Summarise');
  await press(panel, 'Stop');
  await expect(panel.locator('.result')).toContainText('Stopped. What was written so far stays.');
  await expect(panel.getByRole('button', { name: 'Stop' })).toHaveCount(0);
  // The engine is free again.
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
});

test('a selection that is too long is not run, and the text in the box stays; so it is with a text that is written', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  await write(panel, TICKET);
  await chooseFromMenu(extension, office, { job: 'classify', id: 'long' });
  await expect(panel.getByRole('alert')).toContainText('The selection is too long.');
  await expect(panel.getByRole('alert')).toContainText('6,999 characters were selected.');
  await expect(box(panel)).toHaveValue(TICKET);
  await expect(label(panel)).toHaveCount(0);

  await write(panel, 'x'.repeat(6001));
  await expect(panel.getByText('Too long: 6,001 characters. At most 6,000 can be read; shorten the text.')).toBeVisible();
  await expect(panel.getByRole('button', { name: 'Classify' })).toHaveAttribute('aria-disabled', 'true');
  await panel.getByRole('button', { name: 'Classify' }).dispatchEvent('click');
  await expect(box(panel)).toBeFocused();
  await expect(panel.locator('.result[aria-busy=true]')).toHaveCount(0);
  await write(panel, 'x'.repeat(6000));
  await expect(panel.getByRole('button', { name: 'Classify' })).toHaveAttribute('aria-disabled', 'false');
});

test('a selection takes the place of a text that was written, which can be had back; an answer to an earlier text says so', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  const own = 'Where is my parcel? It was to come on Monday.';
  await expect(panel.getByRole('button', { name: 'Back to your text' })).toHaveCount(0);
  await write(panel, own);
  await chooseFromMenu(extension, office, { job: 'route', id: 'ticket' });
  await expect(box(panel)).toHaveValue(TICKET);
  await expect(panel.getByTestId('route-value')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  const earlier = panel.locator('.answer-earlier');
  await expect(earlier).toHaveCount(0);
  // A second one, that nobody wrote in, is not kept.
  await chooseFromMenu(extension, office, { job: 'route', id: 'article' });
  await expect(box(panel)).toHaveValue(ARTICLE);
  await expect(panel.getByTestId('route-value')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await panel.bringToFront();
  await panel.getByRole('button', { name: 'Back to your text' }).press('Enter');
  await expect(box(panel)).toHaveValue(own);
  await expect(box(panel)).toBeFocused();
  await expect(panel.getByRole('button', { name: 'Back to your text' })).toHaveCount(0);
  await expect(earlier).toHaveText('to the text before');
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary-sentence')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await expect(earlier).toHaveCount(0);
  await write(panel, TICKET);
  await expect(earlier).toHaveText('of the text before');
});

test('each kind of answer is spoken once, in a place that was there before it', async ({ extension }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  await write(panel, TICKET);
  const place = panel.locator('.result').getByRole('status');
  await expect(place).toHaveCount(1);
  await place.evaluate((element) => element.setAttribute('data-was-there', ''));
  for (const [job, words] of Object.entries({ Classify: /^(billing|delivery|technical|other).* sure\. /, Route: /^(Billing|Shipping|Technical support|A person)\. /, Summarise: /Answered here in / })) {
    await press(panel, job as 'Classify' | 'Route' | 'Summarise');
    await expect(place).toHaveText(words, { timeout: ANSWER_TIMEOUT_MS });
    await expect(place).toHaveAttribute('data-was-there', '');
  }
});

test('the focus stays in the panel when Stop goes away, pressed or not', async ({ extension }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  await write(panel, ARTICLE.repeat(10));
  const stop = panel.getByRole('button', { name: 'Stop' });
  await press(panel, 'Summarise');
  await stop.press('Enter');
  await expect(stop).toHaveCount(0);
  await expect(panel.getByRole('button', { name: 'Summarise' })).toBeFocused();
  await press(panel, 'Classify');
  await stop.focus();
  await expect(stop).toBeFocused();
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.getByRole('button', { name: 'Classify' })).toBeFocused();
});

test('a text is data: markup in it is shown and not obeyed, in the text, in labels and in answers', async ({ extension, office }) => {
  const markup = '<img src="x" onerror="document.title=1"><b>hi</b>';
  const options = await openOptions(extension);
  await options.getByLabel('Label 1: name').fill('<b>bold</b>');
  await connectOffice(options, office);
  await options.getByRole('radio', { name: /^Only back office/ }).check();
  await save(options);
  office.upstream.text = (body) => (body.includes('Summarise the text') ? markup : '<b>bold</b>');
  const panel = await openPanel(extension);
  await write(panel, markup);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('<b>bold</b>', { timeout: ANSWER_TIMEOUT_MS });
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary')).toHaveText(markup, { timeout: ANSWER_TIMEOUT_MS });
  expect(await panel.locator('img, b').count()).toBe(0);
  await expect(panel).toHaveTitle('Frontdesk');
});

test('two windows at once: each panel gets its own selection, and both are answered', async ({ extension, office }) => {
  const first = await openPanel(extension);
  const opened = extension.context.waitForEvent('page');
  await extension.background.evaluate((url) => chrome.windows.create({ url }), `${extension.origin}/panel.html`);
  const second = await opened;
  await ready(second);
  await first.bringToFront();
  await write(first, 'Where is my parcel? It was to come on Monday.');
  await press(first, 'Summarise');
  const tabs = await second.evaluate(async () => {
    const window = await chrome.windows.getCurrent();
    return chrome.tabs.query({ windowId: window.id ?? -1 });
  });
  await extension.background.evaluate(([tab, text]) => {
    (chrome.contextMenus.onClicked as unknown as { dispatch(info: object, tab: unknown): void }).dispatch({ menuItemId: 'classify', selectionText: text }, tab);
  }, [tabs[0], TICKET] as const);
  await expect(label(second)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await expect(box(second)).toHaveValue(TICKET);
  await expect(first.getByTestId('summary-sentence')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await expect(box(first)).toHaveValue(/parcel/);
  expect((await extension.devtools.targets(extension.origin)).filter(({ url }) => url.includes('offscreen.html'))).toHaveLength(1);
  expect(office.log.filter((request) => request.startsWith('POST'))).toEqual([]);
});

test('with the keyboard alone a text is written, classified, and looked into', async ({ extension }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  await tabTo(panel, 'Options');
  await panel.keyboard.press('Tab');
  await panel.keyboard.type(TICKET);
  await tabTo(panel, 'Classify');
  await panel.keyboard.press('Enter');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await tabTo(panel, 'Details');
  await panel.keyboard.press('Enter');
  await expect(panel.getByText('SHA-256')).toBeVisible();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the panel is accessible and fits 360 pixels, ${colorScheme}`, async ({ extension }) => {
    const panel = await openPanel(extension);
    await panel.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await ready(panel);
    await panel.getByTestId('readiness').locator('summary').click();
    await expectAccessible(panel);
    await write(panel, `${TICKET} ${'unbroken'.repeat(60)}`);
    for (const job of ['Classify', 'Route', 'Summarise'] as const) {
      await press(panel, job);
      await expect(panel.locator('.result[aria-busy=false] .answer-sentence')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
      await expectAccessible(panel);
      expect(await sidewaysScroll(panel)).toBe(0);
    }
  });
}
