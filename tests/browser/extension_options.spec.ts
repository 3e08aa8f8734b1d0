/** The options page: what is chosen is checked, kept and used; what is stored and cannot be used does no harm. */
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ANSWER_TIMEOUT_MS, chooseMode, counter, expect, label, openOptions, openPanel, press, ready, save, test, TICKET, write } from './extension_fixtures.ts';
import { expectAccessible, sidewaysScroll, tabTo } from './demo_fixtures.ts';

test.describe.configure({ timeout: 120_000 });

const MODEL = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache/frontdesk'), 'models/smollm2-135m-instruct.gguf');

test('labels that are changed are the ones of the next answer, in a panel that was open', async ({ extension }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  const options = await openOptions(extension);
  await options.getByRole('button', { name: 'Remove label other' }).click();
  await options.getByRole('button', { name: 'Remove label technical' }).click();
  await options.getByLabel('Label 1: name').fill('money');
  await options.getByLabel('Label 1: what belongs there').fill('payments, refunds, charges');
  await options.getByRole('button', { name: 'Add a label' }).click();
  await options.getByLabel('Label 3: name').fill('praise');
  await expect(options.getByText('Not saved yet.')).toBeVisible();
  await save(options);
  await panel.bringToFront();
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  expect((await panel.locator('.bar-label').allTextContents()).sort()).toEqual(['delivery', 'money', 'praise']);
  await options.reload();
  await expect(options.getByLabel('Label 1: name')).toHaveValue('money');
});

test('what cannot be used is not saved, and says what is wrong where it is wrong', async ({ extension }) => {
  const options = await openOptions(extension);
  const address = options.getByLabel('Address for chat completions');
  for (const mode of ['Back office first', 'Only back office']) await expect(options.getByRole('radio', { name: new RegExp(`^${mode}`) })).toBeDisabled();
  const refuse = async (words: string): Promise<void> => {
    await options.getByRole('button', { name: 'Save' }).click();
    await expect(options.getByRole('alert').filter({ hasText: words })).toBeVisible();
    await expect(options.locator('.save').getByRole('status')).toContainText('Not saved.');
    expect(await options.evaluate(() => chrome.storage.local.get())).toEqual({});
  };
  const wrong: Readonly<Record<string, string>> = {
    'no address': 'This is no address.',
    'http://office.example/v1': 'must begin with https://',
    'ftp://office.example/v1': 'must begin with https://',
    'javascript:alert(1)': 'must begin with https://',
    'https://user:secret@office.example/v1': 'must not carry a name or a password',
    'https://office.example/v1?key=sk-1': 'must not have a part after ? or #',
    [`https://office.example/${'x'.repeat(2000)}`]: 'longer than 2000 characters',
  };
  await options.getByLabel('Name of its model').fill('m');
  for (const [url, words] of Object.entries(wrong)) {
    await address.fill(url);
    await refuse(words);
    await expect(address).toHaveAttribute('aria-invalid', 'true');
  }
  await address.fill('https://office.example/v1/chat/completions');
  await options.getByLabel('Name of its model').fill(' ');
  await refuse('The back office needs the name of a model.');
  await options.getByLabel('Name of its model').fill('m');
  await chooseMode(options, 'Only back office');
  await address.fill('');
  await refuse('This mode needs a back office');
  await chooseMode(options, 'Only here');
  await options.getByLabel('Queue 1: name').fill('Shipping');
  await refuse('“Shipping” is there twice.');
  await options.getByLabel('Queue 1: name').fill('');
  await refuse('One of the queues has a description and no name.');
  await options.getByLabel('Queue 1: name').fill('Billing');
  for (const name of ['billing', 'delivery', 'technical']) await options.getByRole('button', { name: `Remove label ${name}` }).click();
  await refuse('At least two labels are needed.');
});

test('each Save that is refused leads to what is wrong', async ({ extension }) => {
  const options = await openOptions(extension);
  const address = options.getByLabel('Address for chat completions');
  await address.fill('no address');
  for (let time = 0; time < 2; time += 1) {
    await options.getByRole('button', { name: 'Save' }).focus();
    await options.keyboard.press('Enter');
    await expect(address).toBeFocused();
  }
});

test('with the keyboard alone there are as many labels as possible, and one fewer again', async ({ extension }) => {
  const options = await openOptions(extension);
  const add = options.getByRole('button', { name: 'Add a label' });
  await add.focus();
  for (let row = 5; row <= 32; row += 1) await options.keyboard.press('Enter');
  await expect(options.getByLabel(/^Label \d+: name$/)).toHaveCount(30);
  await expect(add).toBeFocused();
  await expect(options.getByText('At most 30 are possible.')).toBeVisible();
  await expectAccessible(options);
  await options.getByRole('button', { name: 'Remove label 30' }).press('Enter');
  await expect(add).toBeFocused();
  await expect(options.getByLabel(/^Label \d+: name$/)).toHaveCount(29);
});

for (const [what, stored] of Object.entries({
  'nothing like options': 'x'.repeat(100_000),
  'a mode without its back office': { mode: 'only_in_cloud', office: null },
  'an address with a key': { mode: 'only_in_cloud', office: { url: 'https://user:key@evil.example/?k=1', model: 'm' } },
  'an address that is a script': { mode: 'cascade', office: { url: 'javascript:alert(1)', model: 'm' } },
  'wrong types everywhere': { mode: ['cascade'], office: 5, labels: 'all', queues: [{ name: {} }, null], threshold: 'high', ownModel: { sha256: '../../x', name: 7 } },
  'far too much': { labels: Array.from({ length: 10_000 }, (_, at) => ({ name: `label ${at}` })), threshold: -1e308 },
  'of an earlier time': { version: 0, labels: ['a', 'b'], theme: 'dark' },
})) {
  test(`stored options that are ${what} fall back to the defaults, and the panel works`, async ({ extension, office }) => {
    const options = await openOptions(extension);
    await options.evaluate((settings) => chrome.storage.local.set({ settings }), stored as object);
    await options.reload();
    await expect(options.getByRole('radio', { name: /^Only here/ })).toBeChecked({ checked: what !== 'an address that is a script' });
    await expect(options.getByLabel('Address for chat completions')).toHaveValue('');
    await expect(options.getByLabel('Label 1: name')).toHaveValue('billing');
    await expect(options.getByRole('slider')).toHaveValue('0.6');
    const panel = await openPanel(extension);
    await write(panel, TICKET);
    await press(panel, 'Classify');
    await expect(label(panel)).toHaveText(/^(billing|delivery|technical|other)$/, { timeout: ANSWER_TIMEOUT_MS });
    await expect(counter(panel)).toContainText('0 bytes');
    expect(office.log).toEqual([]);
  });
}

test('a model file of one’s own is imported, answers, and can be left again; a file that is none is refused', async ({ extension }) => {
  test.skip((await stat(MODEL).catch(() => undefined)) === undefined, 'the model file is not there');
  const options = await openOptions(extension);
  await options.getByTestId('model-file').setInputFiles({ name: 'notes.gguf', mimeType: 'application/octet-stream', buffer: Buffer.from('these are notes') });
  await expect(options.getByRole('alert')).toContainText('The model that was there goes on.');
  await options.getByTestId('model-file').setInputFiles(MODEL);
  await expect(options.getByRole('radio', { name: /^smollm2-135m-instruct\.gguf/ })).toBeChecked({ timeout: ANSWER_TIMEOUT_MS });
  await save(options);
  const panel = await openPanel(extension);
  await ready(panel);
  await panel.getByTestId('readiness').locator('summary').click();
  await expect(panel.getByText('smollm2-135m-instruct.gguf')).toBeVisible();
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });

  // The file is lost, e.g. because the site's data were cleared.
  await options.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
    await chrome.offscreen.closeDocument();
  });
  await expect(panel.getByRole('alert')).toContainText('The model’s file could not be read.', { timeout: ANSWER_TIMEOUT_MS });
  await options.getByRole('radio', { name: /Comes with the extension/ }).check();
  await save(options);
  await ready(panel);
});

test('with the keyboard alone a mode is chosen, an address written and saved', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await options.keyboard.press('Tab');
  await options.keyboard.press('ArrowDown');
  await options.keyboard.press('ArrowDown');
  await expect(options.getByRole('radio', { name: /^Ask when unsure/ })).toBeChecked();
  await options.keyboard.press('Tab');
  await options.keyboard.type(`${office.origin}/v1/chat/completions`);
  await options.keyboard.press('Tab');
  await options.keyboard.type('m');
  await tabTo(options, 'Save');
  await options.keyboard.press('Enter');
  await expect(options.getByText('Saved. Open panels use it already.')).toBeVisible();
  await options.reload();
  await expect(options.getByRole('radio', { name: /^Ask when unsure/ })).toBeChecked();
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`the options page is accessible and fits 360 pixels, ${colorScheme}`, async ({ extension }) => {
    const options = await openOptions(extension);
    await options.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await options.setViewportSize({ width: 360, height: 800 });
    await expectAccessible(options);
    expect(await sidewaysScroll(options)).toBe(0);
    await options.getByLabel('Address for chat completions').fill(`ftp://${'long'.repeat(50)}`);
    await options.getByRole('button', { name: 'Save' }).click();
    await expect(options.getByText('Not saved.')).toBeVisible();
    await expectAccessible(options);
    expect(await sidewaysScroll(options)).toBe(0);
  });
}
