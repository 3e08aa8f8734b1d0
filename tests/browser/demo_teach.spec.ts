/** The demo's tab “Teach” with the real model: rows, learning, the curve and its budget, corrections, files, faults. */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from '@playwright/test';
import { answer, backendChoice, counter, expect, expectAccessible, expectNothingLeft, fact, openFacts, ready, sidewaysScroll, startDemo, startedDemo, startLanguageModel, test, type Demo } from './demo_fixtures.ts';

const LEARN_TIMEOUT_MS = 60_000;
const THINGS = ['the blue lamp', 'my coffee machine', 'a pair of shoes', 'the garden chairs', 'my phone case', 'the winter jacket', 'a set of knives', 'the desk'];
const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  billing: ['I was charged twice for {}.', 'The invoice for {} shows the wrong amount.', 'Please refund the second payment for {}.', 'The bill for {} is too high.'],
  delivery: ['Where is the parcel with {}?', 'The courier has not brought {} yet.', 'When will {} be delivered?', 'Has {} been shipped?'],
  returns: ['I would like to send {} back.', 'How can I return {}?', 'I do not want {} any more, take it back.', 'Can I give {} back?'],
};
/** 96 rows in columns that are named otherwise, with a comma inside quotes. */
const CSV = [
  'nr,queue,ticket',
  ...Object.entries(SENTENCES).flatMap(([label, sentences]) => sentences.flatMap((sentence) => THINGS.map((thing, index) => `${index},${label},"Hello, ${sentence.replace('{}', thing)}"`))),
].join('\n');

async function openTab(page: Page): Promise<void> {
  await page.getByRole('tab', { name: 'Teach' }).click();
  await page.getByRole('radio', { name: 'Only here' }).check();
}

function rowsBox(page: Page) {
  return page.getByRole('textbox', { name: 'Rows to learn from' });
}

function budget(page: Page) {
  return page.getByRole('slider', { name: 'Error budget' });
}

function guarantee(page: Page) {
  return page.getByTestId('guarantee');
}

async function learn(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Learn', exact: true }).click();
  await expect(page.getByTestId('teach-said')).toContainText('Learnt from', { timeout: LEARN_TIMEOUT_MS });
}

async function learnt({ page }: Demo, csv = CSV): Promise<Page> {
  await openTab(page);
  await rowsBox(page).fill(csv);
  await learn(page);
  return page;
}

async function learntSample({ page }: Demo): Promise<Page> {
  await openTab(page);
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await learn(page);
  return page;
}

test('learns from a pasted CSV, and the budget moves what stays here', async ({ quiet }) => {
  const { page } = quiet;
  await openTab(page);
  await rowsBox(page).fill(CSV);
  await expect(page.getByLabel('Text in')).toHaveValue('2');
  await expect(page.getByLabel('Label in')).toHaveValue('1');
  await expect(page.getByTestId('summary')).toContainText('96 rows, 3 labels');
  await learn(page);
  await expect(page.getByTestId('quality')).toContainText(/\d+% of 24 rows that it never saw/);
  await expect(page.getByRole('img', { name: /^Of 24 test rows, \d+% can be answered here without a mistake/ })).toBeVisible();

  // 24 rows carry 15%, and never 5%.
  await expect(budget(page)).toHaveAttribute('aria-valuenow', '15');
  await expect(guarantee(page)).toHaveText(/^\d+% would stay here; at most 15% of all answers wrong because answered here, with 95% confidence\.$/);
  await expect(page.getByTestId('money')).not.toContainText(': 0% of');
  await budget(page).focus();
  await page.keyboard.press('PageDown');
  await page.keyboard.press('PageDown');
  await expect(budget(page)).toHaveAttribute('aria-valuetext', 'at most 5% wrong');
  await expect(guarantee(page)).toContainText('No guarantee at 5%');
  await expect(guarantee(page)).toContainText('It takes at least 59 rows to certify with, all answered right; there are 24.');
  await expect(page.getByTestId('money')).toContainText(': 0% of 20,000 tickets');
  await page.keyboard.press('End');
  await expect(guarantee(page)).toContainText('at most 30%');
  await page.keyboard.press('ArrowDown');
  await expect(guarantee(page)).toContainText('at most 29%');

  await page.getByText('Show as table').click();
  await expect(page.getByRole('columnheader', { name: 'Answered here' })).toBeVisible();
  await expect(counter(page)).toContainText('0 bytes left this device');
  expectNothingLeft(quiet);
});

test('the budget is dragged by pointer', async ({ quiet }) => {
  const page = await learnt(quiet);
  await budget(page).scrollIntoViewIfNeeded();
  const box = await budget(page).boundingBox();
  if (box === null) throw new Error('the line is not drawn');
  await page.mouse.move(box.x + 40, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 40, box.y + box.height / 2 - 60, { steps: 5 });
  await page.mouse.up();
  await expect(budget(page)).not.toHaveAttribute('aria-valuenow', '15');
  const now = await budget(page).getAttribute('aria-valuenow');
  await expect(guarantee(page)).toContainText(`at most ${now}%`);
});

test('bad rows are said in words, before anything is learnt', async ({ quiet }) => {
  const { page } = quiet;
  await openTab(page);
  const summary = page.getByTestId('summary');
  const isLocked = () => expect(page.getByRole('button', { name: 'Learn', exact: true })).toHaveAttribute('aria-disabled', 'true');
  await isLocked();
  await rowsBox(page).fill('just some words\nand some more');
  await expect(summary).toContainText('There is only one column.');
  await isLocked();
  await rowsBox(page).fill('text,label\nhello,a\nworld,b');
  await expect(summary).toContainText('There are 2 usable rows. It takes at least 16');
  await rowsBox(page).fill(`text,label\n${Array.from({ length: 20 }, (_, index) => `row ${index},same`).join('\n')}`);
  await expect(summary).toContainText('All rows have the label “same”.');
  await rowsBox(page).fill(`text,label\n${Array.from({ length: 20 }, (_, index) => `row ${index},label ${index}`).join('\n')}`);
  await expect(summary).toContainText('Is that the right column for the label?');
  await rowsBox(page).fill(`${CSV}\n1,billing,\n2,billing,once\n3,billing,once\n4,billing,torn\n5,delivery,torn\n6,rare,"an open quote`);
  await expect(summary).toContainText('One row without a text or a label: left out.');
  await expect(summary).toContainText('One row more than once');
  await expect(summary).toContainText('1 text has several labels');
  await expect(summary).toContainText('Fewer than 8 rows for rare');
  await expect(summary).toContainText(/quote/i);
  await expectAccessible(page);
});

test('a file is read; learning stops when asked', async ({ quiet }) => {
  const { page } = quiet;
  await openTab(page);
  const many = ['text;label', ...Array.from({ length: 1500 }, (_, index) => `Please look at number ${index} of my many orders;${index % 2 === 0 ? 'even' : 'odd'}`)].join('\n');
  await page.getByLabel('CSV file').setInputFiles({ name: 'many.csv', mimeType: 'text/csv', buffer: Buffer.from(many) });
  await expect(page.getByTestId('summary')).toContainText('1,500 rows, 2 labels');
  await expect(rowsBox(page)).toHaveValue(many);
  await page.getByRole('button', { name: 'Learn', exact: true }).click();
  await expect(page.getByRole('progressbar')).toBeVisible();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByTestId('teach-said')).toContainText('Stopped.');
  await expect(page.getByRole('button', { name: 'Learn', exact: true })).toBeVisible();
});

test('a file that is dropped is read', async ({ quiet }) => {
  const { page } = quiet;
  await openTab(page);
  const dataTransfer = await page.evaluateHandle((csv) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([csv], 'dropped.csv', { type: 'text/csv' }));
    return transfer;
  }, CSV);
  await rowsBox(page).dispatchEvent('drop', { dataTransfer });
  await expect(rowsBox(page)).toHaveValue(CSV);
  await expect(page.getByTestId('summary')).toContainText('96 rows, 3 labels');
});

test('escalations teach it: corrected, improved, gone back', async ({ quiet }) => {
  const page = await learntSample(quiet);
  await page.getByLabel('A ticket of your own').fill('Prove by induction that the sum of the first n odd numbers is a square.');
  await page.keyboard.press('Enter');
  const row = page.getByRole('listitem').filter({ hasText: 'Prove by induction' });
  await expect(row).toContainText('Back office: it would say');
  await expect(page.getByTestId('inbox-words')).toContainText('would go to the back office');
  await row.getByLabel('Right label').selectOption('technical problem');
  await row.getByRole('button', { name: /^Note it: technical problem/ }).click();
  await expect(row).toContainText('Noted: technical problem');
  // A label that the rows do not have, which the next text may be given too.
  await page.getByLabel('A ticket of your own').fill('Do you hire bricklayers?');
  await page.keyboard.press('Enter');
  const applicant = page.getByRole('listitem').filter({ hasText: 'bricklayers' });
  await applicant.getByLabel('Right label').selectOption('another…');
  await expect(applicant.getByRole('button', { name: /^Note it/ })).toBeDisabled();
  await applicant.getByLabel('New label').fill('jobs');
  await applicant.getByRole('button', { name: /^Note it: jobs/ }).click();
  await expect(applicant).toContainText('Noted: jobs');
  const improve = page.getByRole('button', { name: 'Improve' });
  await expect(page.getByText('2 texts wait to be learnt from.')).toBeVisible();
  await improve.click();
  await expect(page.getByTestId('improvement')).toContainText(/^(Promoted|Not shown to be better|Worse)/, { timeout: LEARN_TIMEOUT_MS });
  await expect(page.getByTestId('improvement')).toContainText(/gained \d+ right answers and lost \d+/);
  await page.getByLabel('A ticket of your own').fill('My parcel has not arrived, where is it?');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('listitem').filter({ hasText: 'My parcel has not' })).toContainText(/ delivery, \d+% sure/);
  expectNothingLeft(quiet);
});

test('goes back to what was learnt before', async ({ quiet }) => {
  const page = await learnt(quiet);
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await learn(page);
  await expect(page.getByText('account access, billing, cancellation, delivery, praise, technical problem')).toBeVisible();
  await page.getByRole('button', { name: 'Go back' }).click();
  await expect(page.getByTestId('teach-said')).toContainText('The version before answers again.');
  await expect(page.getByText('billing, delivery, returns')).toBeVisible();
  await expect(guarantee(page)).toContainText('at most 15%');
});

test('is exported, forgotten, imported, and there again on the next visit', async ({ quiet }) => {
  const page = await learnt(quiet);
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export', exact: true }).click();
  const download = await saving;
  expect(download.suggestedFilename()).toBe('tickets.fdtask');
  const path = await download.path();

  page.once('dialog', (dialog) => void dialog.accept());
  await page.getByRole('button', { name: 'Forget' }).click();
  await expect(page.locator('.keep-words')).toHaveText('Forgotten. Nothing that was learnt is left on this device.');
  await expect(guarantee(page)).toHaveCount(0);

  await page.getByLabel('Task file').setInputFiles({ name: 'tickets.fdtask', mimeType: 'application/octet-stream', buffer: Buffer.from('not a task') });
  await expect(page.getByRole('alert')).toContainText('This file cannot be used.');
  await page.getByLabel('Task file').setInputFiles(path);
  await expect(page.getByText('Learnt from 48 rows')).toBeVisible();
  await expect(page.getByRole('alert')).toHaveCount(0);

  await page.reload();
  await page.getByRole('tab', { name: 'Teach' }).click();
  await expect(page.getByText('Learnt from 48 rows')).toBeVisible({ timeout: LEARN_TIMEOUT_MS });
  await expect(guarantee(page)).toContainText('at most 15%');
  expectNothingLeft(quiet);
});

test('the tabs are worked by keyboard, and keep what is in them', async ({ quiet }) => {
  const { page } = quiet;
  await page.getByRole('tab', { name: 'Decide' }).focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.getByRole('tab', { name: 'Teach' })).toBeFocused();
  await expect(page.getByRole('tabpanel', { name: 'Teach' })).toBeVisible();
  await rowsBox(page).fill('text,label');
  await page.getByRole('tab', { name: 'Teach' }).focus();
  await page.keyboard.press('Home');
  await expect(page.getByRole('button', { name: 'Run' })).toBeVisible();
  await page.keyboard.press('End');
  await expect(page.getByRole('textbox', { name: 'Your message' })).toBeVisible();
  await page.keyboard.press('ArrowLeft');
  await expect(rowsBox(page)).toHaveValue('text,label');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the tab is accessible in ${colorScheme}, and fits a phone`, async ({ quiet }) => {
    const { page } = quiet;
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await openTab(page);
    await expectAccessible(page);
    await learntSample(quiet);
    await page.getByText('Show as table').click();
    await expectAccessible(page);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectAccessible(page);
    await expect.poll(() => sidewaysScroll(page)).toBe(0);
  });
}

test('a server without the learning model answers all the same, and the tab says what is missing', async ({ page }) => {
  const file = 'smollm2-135m-instruct.gguf';
  const folder = await mkdtemp(join(tmpdir(), 'frontdesk-demo-'));
  await mkdir(join(folder, 'models'));
  await symlink(join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models', file), join(folder, 'models', file));
  const server = await startDemo({}, ['--models', join(folder, 'models')]);
  try {
    await page.goto(server.origin);
    await expect(page.locator('.reflex')).toContainText('This host has the language model alone.');
    await startLanguageModel(page);
    await ready(page);
    await answer(page);
    await expect(page.getByTestId('answer-by')).toContainText('The language model answered');
    await page.getByRole('tab', { name: 'Teach' }).click();
    await expect(page.getByText('The model that learns is not on this server.')).toBeVisible();
    await page.getByRole('button', { name: 'Use the sample' }).click();
    await expect(page.getByRole('button', { name: 'Learn', exact: true })).toHaveAttribute('aria-disabled', 'true');
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
});

/** A demo of its own whose workers begin with this code, in a block of its own. */
async function withWorkers(browser: Browser, code: string, run: (demo: Demo) => Promise<void>): Promise<void> {
  const server = await startDemo({});
  const context = await browser.newContext();
  await context.route('**/worker.js', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `{ ${code} }\n${await response.text()}` });
  });
  try {
    const demo = await startedDemo(server, await context.newPage());
    await run(demo);
    expectNothingLeft(demo);
  } finally {
    await context.close();
    await server.close();
  }
}

test('a browser that keeps nothing learns all the same, and says so', async ({ browser }) => {
  const noFiles = "navigator.storage.getDirectory = () => Promise.reject(new DOMException('denied', 'SecurityError'));";
  await withWorkers(browser, noFiles, async (demo) => {
    await learnt(demo);
    await expect(demo.page.getByText('This browser cannot keep it')).toBeVisible();
    // A model that is loaded anew gets it from the one before.
    await openFacts(demo.page);
    await backendChoice(demo.page, 'CPU').check();
    await backendChoice(demo.page, 'Auto').check();
    await expect(fact(demo.page, 'Why not the GPU')).toContainText('There is no GPU adapter', { timeout: LEARN_TIMEOUT_MS });
    await demo.page.keyboard.press('Escape');
    await expect(demo.page.getByRole('button', { name: 'Forget' })).toBeEnabled();
    await expect(demo.page.getByText('This browser cannot keep it')).toBeVisible();
  });
});

test('a full device says so in words, and what is there goes on', async ({ browser }) => {
  // The model fits; a task, which is smaller, does not.
  const full = `const write = FileSystemSyncAccessHandle.prototype.write;
    FileSystemSyncAccessHandle.prototype.write = function (bytes, ...rest) {
      if (bytes.byteLength < 1e6 && !(this.getSize() > 1e6)) throw new DOMException('full', 'QuotaExceededError');
      return write.call(this, bytes, ...rest);
    };`;
  await withWorkers(browser, full, async ({ page }) => {
    await expect(page.getByRole('alert')).toContainText('There is no room to keep what would be learnt.');
    await openTab(page);
    await rowsBox(page).fill(CSV);
    await page.getByRole('button', { name: 'Learn', exact: true }).click();
    await expect(page.getByRole('tabpanel', { name: 'Teach' }).getByRole('alert')).toContainText('There is no room to keep what would be learnt.', { timeout: LEARN_TIMEOUT_MS });
    await expect(rowsBox(page)).toHaveValue(CSV);
    await expect(page.getByRole('button', { name: 'Learn', exact: true })).toBeEnabled();
  });
});
