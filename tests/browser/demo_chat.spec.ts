/** The demo's tab “Chat” with the real model: several turns, streaming without a shift, stop, overflow, mode, keyboard, what is announced. */
import type { Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, counter, expect, expectAccessible, expectNothingLeft, firstVisit, ready, setThreshold, sidewaysScroll, startDemo, switchMeanwhile, tabTo, test } from './demo_fixtures.ts';

async function openChat(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Chat' }).click();
  await expect(box(page)).toBeVisible();
}

function box(page: Page) {
  return page.getByRole('textbox', { name: 'Your message' });
}

function answers(page: Page) {
  return page.getByTestId('chat-model');
}

function sources(page: Page) {
  return page.getByTestId('chat-source');
}

async function say(page: Page, text: string): Promise<void> {
  const before = await sources(page).count();
  await box(page).fill(text);
  await page.keyboard.press('Enter');
  await expect(sources(page)).toHaveCount(before + 1, { timeout: ANSWER_TIMEOUT_MS });
}

test('answers in several turns, each with its source, and reads what was said before', async ({ quiet }) => {
  const { page } = quiet;
  await openChat(page);
  await page.getByRole('radio', { name: 'Only here' }).check();
  await say(page, 'Say hello in three words.');
  await say(page, 'Now say goodbye.');
  await expect(answers(page)).toHaveCount(2);
  for (const text of await answers(page).allTextContents()) expect(text.length).toBeGreaterThan(0);
  for (const source of await sources(page).all()) await expect(source).toHaveText(/^ ?Answered here in [\d.]+ m?s\. Nothing left this device\. \d+ tokens, [\d.,]+ tokens per second\./);
  await expect(box(page)).toHaveValue('');
  await expect(box(page)).toBeFocused();
  await expect(counter(page)).toContainText('0 bytes left this device');

  await page.getByRole('button', { name: 'New chat' }).click();
  await expect(answers(page)).toHaveCount(0);
  await expect(box(page)).toBeFocused();
  expectNothingLeft(quiet);
});

test('the conversation is sent whole to the back office, and each request is in the ledger', async ({ connected }) => {
  const { page, upstream } = connected;
  upstream.reset('The parcel comes tomorrow.');
  await openChat(page);
  await page.getByRole('radio', { name: 'Only back office' }).check();
  await say(page, 'Where is my parcel?');
  await say(page, 'Are you sure?');
  expect(upstream.bodies).toHaveLength(2);
  const { messages } = JSON.parse(upstream.bodies[1] ?? '') as { messages: { role: string; content: string }[] };
  const first = await answers(page).first().textContent();
  expect(messages.map(({ role, content }) => (role === 'system' ? role : content))).toEqual(['system', 'Where is my parcel?', first, 'Are you sure?']);
  await expect(sources(page).last()).toContainText('Asked the back office, because the mode says so.');
  await expect(page.getByTestId('ledger-row')).toHaveCount(2);
  await expect(page.getByRole('button', { name: 'Chat', exact: true })).toHaveCount(2);
  const bytes = (await page.getByTestId('ledger-bytes').allTextContents()).map((figure) => Number(figure.replaceAll(',', '')));
  await expect(sources(page).last()).toContainText(`${bytes[0]} bytes left this device.`);
  await expect(counter(page)).toContainText('2 requests with your text');
  await expectAccessible(page);
});

test('a stopped answer stays, and its end is said once', async ({ quiet }) => {
  const { page } = quiet;
  await openChat(page);
  await box(page).fill('Write a long story about a lighthouse keeper.');
  await page.keyboard.press('Enter');
  await expect(answers(page)).not.toHaveText('Reading …', { timeout: ANSWER_TIMEOUT_MS });
  await page.getByRole('tabpanel', { name: 'Chat' }).getByRole('button', { name: 'Stop' }).click();
  await expect(page.getByText('Stopped. What was written so far stays.')).toBeVisible();
  expect((await answers(page).textContent())?.length).toBeGreaterThan(0);
  await expect(page.getByTestId('chat-said')).toHaveText('Stopped.');
  await say(page, 'Say hello.');
  await expect(answers(page)).toHaveCount(2);
});

test('an answer is announced once, and nothing moves while it is written', async ({ quiet }) => {
  const { page } = quiet;
  await openChat(page);
  await say(page, 'What is a refund?');
  await page.evaluate(() => {
    const seen = { said: [] as string[], shift: 0, moves: [] as string[] };
    Object.assign(window, { seen });
    const region = document.querySelector('[data-testid=chat-said]');
    if (region === null) throw new Error('there is no live region');
    new MutationObserver(() => {
      const words = region.textContent;
      if (words !== '') seen.said.push(words);
    }).observe(region, { childList: true, characterData: true, subtree: true });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; sources: { node: Element | null }[] })[]) {
        seen.shift += entry.value;
        seen.moves.push(...entry.sources.map(({ node }) => node?.nodeName ?? 'gone'));
      }
    }).observe({ type: 'layout-shift' });
  });
  // Pressing Enter excuses shifts for half a second; most of the answer comes later.
  await say(page, 'Explain in detail how a parcel travels from a warehouse to a customer, step by step.');
  const seen = await page.evaluate(() => (window as unknown as { seen: { said: string[]; shift: number; moves: string[] } }).seen);
  expect(seen.said).toHaveLength(1);
  expect(seen.said[0]).toContain((await answers(page).last().textContent())?.slice(0, 40));
  expect(seen.said[0]).toMatch(/(Answered here|Would escalate)/);
  expect(seen).toMatchObject({ shift: 0, moves: [] });
  // The view has gone along.
  await expect(sources(page).last()).toBeInViewport();
});

test('a conversation that grows too long loses nothing', async ({ quiet }) => {
  const { page } = quiet;
  const long = 'The parcel is late and nobody answers the phone. '.repeat(150);
  await openChat(page);
  await page.getByRole('radio', { name: 'Only here' }).check();
  await box(page).fill(`${long}${long}`);
  await page.keyboard.press('Enter');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('The message is longer than the model can read.', { timeout: ANSWER_TIMEOUT_MS });
  await expect(box(page)).toHaveValue(`${long}${long}`.trim());
  await expectAccessible(page);

  await say(page, `Say yes. ${'The parcel is late. '.repeat(150)}`);
  await say(page, `Say no. ${'The parcel is late. '.repeat(150)}`);
  await box(page).fill(`And this? ${'The parcel is late. '.repeat(150)}`);
  const asked = await box(page).inputValue();
  await page.keyboard.press('Enter');
  await expect(alert).toContainText('The conversation is longer than the model can read.', { timeout: ANSWER_TIMEOUT_MS });
  await expect(alert).toContainText('your message is back in the box, and the conversation stays');
  await expect(box(page)).toHaveValue(asked.trim());
  await expect(answers(page)).toHaveCount(2);
  await expectAccessible(page);

  await alert.getByRole('button', { name: 'Send without the earlier half' }).click();
  await expect(sources(page)).toHaveCount(3, { timeout: ANSWER_TIMEOUT_MS });
  await expect(page.getByText('The model reads from here on')).toHaveCount(1);
  await expect(answers(page)).toHaveCount(3);
  await expect(alert).toHaveCount(0);
  expectNothingLeft(quiet);
});

test('a failing back office gives the message back', async ({ connected }) => {
  const { page, upstream } = connected;
  upstream.behaviour = 'status_500';
  await openChat(page);
  await page.getByRole('radio', { name: 'Only back office' }).check();
  await box(page).fill('Where is my parcel?');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('alert')).toContainText('The back office answered with an error.');
  await expect(box(page)).toHaveValue('Where is my parcel?');
  await expect(page.getByTestId('ledger-row')).toHaveCount(1);
  await expect(answers(page)).toHaveCount(0);
});

test('a stricter mode stops an answer that is on its way: nothing leaves, and the message is back in the box', async ({ connected }) => {
  const { page, upstream } = connected;
  const long = `What now? ${'The parcel is late and nobody answers the phone. '.repeat(80)}`.trim();
  await setThreshold(page, 1);
  await openChat(page);
  await box(page).fill(long);
  await switchMeanwhile(page, '.chat-form [type=submit]', 'Only here');
  await expect(page.getByTestId('stopped-notice').filter({ visible: true })).toContainText('Stopped, because the mode “Only here” allows less than before.');
  await expect(page.getByTestId('chat-said')).toContainText('Stopped, because the mode');
  await expect(box(page)).toHaveValue(long);
  await expect(answers(page)).toHaveCount(0);
  await expectAccessible(page);
  await say(page, 'Say hello.');
  await expect(page.getByTestId('stopped-notice')).toHaveCount(0);
  expectNothingLeft(connected);
  expect(upstream.bodies).toEqual([]);
});

test('“Send without the earlier half” that fails leaves nothing out', async ({ connected }) => {
  const { page, upstream } = connected;
  const long = 'The parcel is late. '.repeat(150);
  await openChat(page);
  await page.getByRole('radio', { name: 'Only here' }).check();
  await say(page, `Say yes. ${long}`);
  await say(page, `Say no. ${long}`);
  await box(page).fill(`And this? ${long}`);
  await page.keyboard.press('Enter');
  const shorter = page.getByRole('button', { name: 'Send without the earlier half' });
  await expect(shorter).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  upstream.behaviour = 'status_500';
  await page.getByRole('radio', { name: 'Only back office' }).check();
  await shorter.click();
  await expect(page.getByRole('alert')).toContainText('The back office answered with an error.');
  await expect(page.getByText('The model reads from here on')).toHaveCount(0);
  upstream.reset('Yes.');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await expect(sources(page)).toHaveCount(3);
  const { messages } = JSON.parse(upstream.bodies[0] ?? '') as { messages: { content: string }[] };
  expect(messages.filter(({ content }) => /^(Say yes|Say no|And this)/.test(content))).toHaveLength(3);
});

test('a starter does not overwrite what somebody has written', async ({ quiet }) => {
  const { page } = quiet;
  await openChat(page);
  const starter = (name: string) => page.getByRole('button', { name });
  await starter('Say it in one sentence').click();
  await starter('What is a refund?').click();
  await expect(box(page)).toHaveValue('What is a refund?');
  await box(page).fill('My own words.');
  await starter('What is a refund?').click();
  await expect(box(page)).toHaveValue('My own words.\n\nWhat is a refund?');
  await expect(box(page)).toBeFocused();
});

test('everything can be done by keyboard', async ({ quiet }) => {
  const { page } = quiet;
  await page.getByRole('tab', { name: 'Decide' }).focus();
  await page.keyboard.press('End');
  await expect(page.getByRole('tab', { name: 'Chat' })).toBeFocused();
  await expect(box(page)).toBeVisible();
  await tabTo(page, 'What is a refund?');
  await page.keyboard.press('Enter');
  await expect(box(page)).toBeFocused();
  await expect(box(page)).toHaveValue('What is a refund?');
  await page.keyboard.press('Shift+Enter');
  await expect(box(page)).toHaveValue('What is a refund?\n');
  await page.keyboard.press('Enter');
  await expect(sources(page)).toHaveCount(1, { timeout: ANSWER_TIMEOUT_MS });
  await page.keyboard.press('Shift+Tab');
  await expect(page.getByRole('region', { name: 'Conversation', exact: true })).toBeFocused();
  await page.keyboard.press('Shift+Tab');
  await expect(page.getByRole('button', { name: 'New chat' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(sources(page)).toHaveCount(0);
});

test('drafts a reply to the message of the other tab, which waits meanwhile', async ({ quiet }) => {
  const { page } = quiet;
  await page.getByRole('textbox', { name: 'A message to sort' }).fill('My lamp is broken.');
  await openChat(page);
  await page.getByRole('button', { name: 'Reply to the message in Decide' }).click();
  await expect(box(page)).toHaveValue(/reply to this customer message:\n\nMy lamp is broken\.$/);
  await page.keyboard.press('Enter');
  await page.getByRole('tab', { name: 'Decide' }).click();
  await expect(page.getByRole('button', { name: 'Run' })).toHaveAttribute('aria-disabled', 'true');
  await expect(page.getByRole('button', { name: 'Run' })).toHaveAttribute('aria-disabled', 'false', { timeout: ANSWER_TIMEOUT_MS });
  await page.getByRole('tab', { name: 'Chat' }).click();
  await expect(sources(page)).toHaveCount(1);
});

test('an unsure answer in “Ask when unsure” says that it would escalate', async ({ quiet }) => {
  const { page } = quiet;
  await setThreshold(page, 1);
  await openChat(page);
  await say(page, 'What is a refund?');
  await expect(sources(page)).toContainText(/Would escalate, because the model was only \d+% sure \(100% needed\)/);
});

test('without the language model it says what is missing, and gets it', async ({ page }) => {
  const server = await startDemo({});
  try {
    await firstVisit(server, page);
    await openChat(page);
    const panel = page.getByRole('tabpanel', { name: 'Chat' });
    await expect(panel).toContainText('Chat takes the language model: the small one can sort, and cannot write.');
    await box(page).fill('Hello');
    await expect(page.getByRole('button', { name: 'Send' })).toHaveAttribute('aria-disabled', 'true');
    await expectAccessible(page);
    await panel.getByRole('button', { name: 'Download 98 MB and start' }).click();
    await ready(page);
    await expect(box(page)).toBeFocused();
    await page.keyboard.press('Enter');
    await expect(sources(page)).toHaveCount(1, { timeout: ANSWER_TIMEOUT_MS });
  } finally {
    await server.close();
  }
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`is accessible in ${colorScheme}, and fits a phone`, async ({ quiet }) => {
    const { page } = quiet;
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await openChat(page);
    await expectAccessible(page);
    await say(page, 'Say hello.');
    await expectAccessible(page);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectAccessible(page);
    await expect.poll(() => sidewaysScroll(page)).toBe(0);
  });
}
