/** How the demo's page is laid out: no tab scrolls sideways, text of twice the size fits, nothing jumps while the page gets ready, the tabs by keyboard. */
import type { Page } from '@playwright/test';
import { expect, expectAccessible, firstAnswer, firstVisit, sidewaysScroll, startDemo, tabTo, test, type DemoServer } from './demo_fixtures.ts';

const TABS = ['Decide', 'Teach', 'Chat'] as const;

let server: DemoServer;
test.beforeAll(async () => {
  server = await startDemo({});
});
test.afterAll(() => server.close());

async function show(page: Page, tab: (typeof TABS)[number]): Promise<void> {
  await page.getByRole('tab', { name: tab }).click();
  await expect(page.getByRole('tabpanel', { name: tab }).getByRole('heading').first()).toBeVisible();
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every tab is accessible in ${colorScheme} before the language model is there, on a laptop and on a phone`, async ({ page }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await firstVisit(server, page);
    await firstAnswer(page);
    await page.getByText('Details', { exact: true }).click();
    for (const tab of TABS) {
      await page.setViewportSize({ width: 1280, height: 720 });
      await show(page, tab);
      await expectAccessible(page);
      await page.setViewportSize({ width: 360, height: 740 });
      await expectAccessible(page);
      await expect.poll(() => sidewaysScroll(page), tab).toBe(0);
    }
    await page.locator('.readiness summary').click();
    await expectAccessible(page);
    await expect.poll(() => sidewaysScroll(page)).toBe(0);
  });
}

test('text of twice the size fits in every tab', async ({ page }) => {
  await firstVisit(server, page);
  await firstAnswer(page);
  await page.evaluate(() => {
    document.documentElement.style.fontSize = '200%';
  });
  for (const tab of TABS) {
    await show(page, tab);
    await expect.poll(() => sidewaysScroll(page), tab).toBe(0);
    expect((await page.locator('.top-bar').boundingBox())?.height).toBeLessThan(360);
    // What is cut off by its own box cannot be read.
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>('button, h2, p, label, summary')]
        .filter((element) => element.offsetParent !== null && !element.closest('.visually-hidden, .samples, .sized'))
        .filter((element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).overflowX === 'hidden' && element.clientWidth > 1)
        .map((element) => element.textContent),
    );
    expect(cut, tab).toEqual([]);
  }
});

test('nothing jumps while the page gets ready', async ({ page }) => {
  await page.addInitScript(() => {
    const shifts: { value: number; what: string[] }[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; sources: { node: Element | null }[] })[]) {
        shifts.push({ value: entry.value, what: entry.sources.map(({ node }) => (node instanceof Element ? `${node.nodeName} ${node.className}` : 'text')) });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await firstVisit(server, page);
  await firstAnswer(page);
  const shifts = await page.evaluate(() => (window as unknown as { shifts: { value: number; what: string[] }[] }).shifts);
  // What browsers call good is below 0.1.
  expect(shifts.reduce((sum, { value }) => sum + value, 0), JSON.stringify(shifts)).toBeLessThan(0.05);
});

test('all tabs are reached and worked by keyboard alone', async ({ page }) => {
  await firstVisit(server, page);
  await firstAnswer(page);
  await page.locator('body').evaluate((body) => {
    body.tabIndex = -1;
    body.focus();
  });
  await tabTo(page, 'Decide');
  await tabTo(page, 'Parcel missing');
  await page.keyboard.press('Enter');
  await tabTo(page, 'Run');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('answer-value')).toHaveText('delivery');
  await page.getByRole('tab', { name: 'Decide' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('textbox', { name: 'Rows to learn from' })).toBeVisible();
  await tabTo(page, 'Use the sample');
  await page.keyboard.press('Enter');
  await tabTo(page, 'Learn');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('teach-said')).toContainText('Learnt from 60 rows.');
  await page.getByRole('tab', { name: 'Teach' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('textbox', { name: 'Your message' })).toBeVisible();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('tab', { name: 'Decide' })).toBeFocused();
});

test('what was taught answers in “Decide”, with what it promises', async ({ page }) => {
  const things = ['lamp', 'chair', 'phone', 'jacket', 'knife', 'desk', 'book', 'cup', 'plate', 'bag', 'shoe', 'coat', 'watch', 'ring', 'bike'];
  const rows = things.flatMap((thing) => [`I was charged twice for the ${thing}.,money`, `Please refund the ${thing}.,money`, `Where is the parcel with my ${thing}?,parcels`, `The courier has not brought the ${thing}.,parcels`]);
  await firstVisit(server, page);
  await firstAnswer(page);
  await show(page, 'Teach');
  await page.getByRole('textbox', { name: 'Rows to learn from' }).fill(['text,label', ...rows].join('\n'));
  await page.getByRole('button', { name: 'Learn', exact: true }).click();
  await expect(page.getByTestId('guarantee')).toContainText('at most');
  const limit = /at most (\d+%)/.exec((await page.getByTestId('guarantee').textContent()) ?? '')?.[1];
  await show(page, 'Decide');
  await page.getByRole('button', { name: 'Use the labels you taught' }).click();
  await expect(page.getByTestId('who-answers')).toContainText('The small model has learnt these, from 30 of your rows.');
  await page.getByRole('textbox', { name: 'A message to sort' }).fill('Where is the parcel with my hat?');
  await page.getByRole('button', { name: 'Run' }).click();
  await expect(page.getByTestId('answer-value')).toHaveText('parcels');
  await expect(page.getByTestId('answer-by')).toHaveText(new RegExp(`^The small model answered, from 30 of your rows\\. Guarantee: at most ${limit} .* with 95% confidence\\.$`));
});
