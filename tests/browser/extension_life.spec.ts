/** What ends and what goes on: the service worker, the engine's page, panels, and options that change meanwhile. */
import type { Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, ARTICLE, box, chooseMode, connectOffice, counter, expect, type Extension, label, launch, listen, openOptions, openPanel, press, ready, save, test, TICKET, write } from './extension_fixtures.ts';
import { Upstream } from './servers/upstream.ts';

test.describe.configure({ timeout: 120_000 });

async function enginePages({ devtools, origin }: Extension): Promise<{ id: string; url: string }[]> {
  return (await devtools.targets(origin)).filter(({ url }) => url.includes('/offscreen.html'));
}

async function onlyBackOffice(extension: Extension, office: Awaited<ReturnType<typeof listen>>): Promise<Page> {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Only back office');
  await save(options);
  return options;
}

test('answers that stream go on when the service worker is stopped: the back office’s in the middle, the device’s from its start', async ({ folder, office }) => {
  const extension = await launch(folder);
  office.upstream.reset('It goes on and on. '.repeat(100));
  await onlyBackOffice(extension, office);
  const panel = await openPanel(extension);
  await write(panel, ARTICLE);
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary')).toContainText('It goes on', { timeout: ANSWER_TIMEOUT_MS });
  await stopServiceWorker(extension, panel);
  const before = (await panel.getByTestId('summary').textContent()) ?? '';
  await expect(panel.locator('.result')).toHaveAttribute('aria-busy', 'true');
  await expect(panel.getByTestId('summary-sentence')).toHaveText(/^Asked the back office/, { timeout: ANSWER_TIMEOUT_MS });
  const after = (await panel.getByTestId('summary').textContent()) ?? '';
  expect(after.trim()).toBe('It goes on and on. '.repeat(100).trim());
  expect(before.length).toBeLessThan(after.length);

  await panel.evaluate(async () => {
    const { settings } = await chrome.storage.local.get('settings');
    await chrome.storage.local.set({ settings: { ...(settings as object), mode: 'only_on_device' } });
  });
  await expect(panel.getByTestId('mode')).toContainText('Only here.');
  await expect.poll(async () => (await enginePages(extension)).map(({ url }) => url)).toEqual([`${extension.origin}/offscreen.html`]);
  await ready(panel);
  // Making the engine's page has started it.
  await stopServiceWorker(extension, panel);
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary-sentence')).toHaveText(/^Answered here/, { timeout: ANSWER_TIMEOUT_MS });
  expect(await serviceWorkers(extension), 'nothing woke it').toEqual([]);
  await extension.close();
});

async function serviceWorkers({ devtools, origin }: Extension): Promise<unknown[]> {
  return (await devtools.targets(origin)).filter(({ type }) => type === 'service_worker');
}

async function stopServiceWorker(extension: Extension, page: Page): Promise<void> {
  expect(await serviceWorkers(extension)).toHaveLength(1);
  const session = await extension.context.newCDPSession(page);
  await session.send('ServiceWorker.enable');
  await session.send('ServiceWorker.stopAllWorkers');
  await expect.poll(() => serviceWorkers(extension)).toEqual([]);
}

test('an engine’s page that dies is made again, the panel says so, and what had left stays listed', async ({ extension, office }) => {
  await onlyBackOffice(extension, office);
  const panel = await openPanel(extension);
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('delivery', { timeout: ANSWER_TIMEOUT_MS });
  office.upstream.behaviour = 'hang';
  await press(panel, 'Classify');
  await expect.poll(() => office.upstream.bodies.length).toBe(2);
  const [before] = await enginePages(extension);
  await extension.devtools.close(before?.id ?? '');
  await expect(panel.getByText('The engine stopped and was started again.')).toBeVisible();
  await expect(panel.getByRole('alert')).toContainText('The engine stopped.');
  await ready(panel);
  const [after] = await enginePages(extension);
  expect(after?.id).not.toBe(before?.id);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(2);
  await expect(panel.locator('.ledger-why').first()).toContainText('No answer came; it may not have arrived.');
  office.upstream.behaviour = 'answer';
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('delivery', { timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.getByText('The engine stopped and was started again.')).toHaveCount(0);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(3);
});

test('a panel that closes takes its own calls along, and no other’s', async ({ extension, office }) => {
  await onlyBackOffice(extension, office);
  const staying = await openPanel(extension);
  const closing = await openPanel(extension);
  office.upstream.behaviour = 'hang';
  await write(closing, 'The one that closes.');
  await press(closing, 'Classify');
  await expect.poll(() => office.upstream.bodies.length).toBe(1);
  await staying.bringToFront();
  await write(staying, 'The one that stays.');
  await press(staying, 'Classify');
  await expect.poll(() => office.upstream.bodies.length).toBe(2);
  await closing.close();
  await expect.poll(() => office.upstream.abandoned).toBe(1);
  await expect(staying.locator('.ledger-why').last()).toContainText('Stopped before the answer was there.');
  await expect(staying.locator('.ledger-why').first()).toContainText('Waiting for an answer.');
  await expect(staying.locator('.result')).toHaveAttribute('aria-busy', 'true');
});

test('options take effect in panels that are open; another address means another engine’s page, with the receipts of the last', async ({ extension, office }) => {
  const other = await listen();
  other.upstream.reset('technical');
  const options = await onlyBackOffice(extension, office);
  const panel = await openPanel(extension);
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('delivery', { timeout: ANSWER_TIMEOUT_MS });
  const [first] = await enginePages(extension);

  await options.bringToFront();
  await connectOffice(options, other);
  await save(options);
  await expect.poll(async () => (await enginePages(extension))[0]?.url).toBe(`${extension.origin}/offscreen.html?office=${encodeURIComponent(`${other.origin}${Upstream.path}`)}`);
  expect((await enginePages(extension))[0]?.id).not.toBe(first?.id);
  await panel.bringToFront();
  await ready(panel);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('technical', { timeout: ANSWER_TIMEOUT_MS });
  expect([office.upstream.bodies.length, other.upstream.bodies.length]).toEqual([1, 1]);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(2);
  await expect(panel.getByText('The engine stopped and was started again.')).toHaveCount(0);

  // Back to nothing at all: the page that may reach the back office is gone.
  await options.bringToFront();
  await chooseMode(options, 'Only here');
  await save(options);
  await expect.poll(async () => (await enginePages(extension)).map(({ url }) => url)).toEqual([`${extension.origin}/offscreen.html`]);
  await expect(counter(panel)).not.toContainText(/^0 bytes/);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(2);
  other.close();
});

test('several panels that open at once share one engine’s page', async ({ extension }) => {
  const panels = await Promise.all([openPanel(extension), openPanel(extension), openPanel(extension)]);
  for (const panel of panels) await ready(panel);
  expect(await enginePages(extension)).toHaveLength(1);
});

/** The next time this page makes an engine's page, the browser does this in its place. */
async function createDocumentOnce(page: Page, fate: 'fails' | 'hangs'): Promise<void> {
  await page.evaluate((how) => {
    const { offscreen } = chrome;
    const real = offscreen.createDocument;
    const broken = (): Promise<void> => {
      Object.assign(offscreen, { createDocument: real });
      return how === 'fails' ? Promise.reject(new Error('no room')) : new Promise(() => undefined);
    };
    Object.assign(offscreen, { createDocument: broken });
  }, fate);
}

test('a panel forgets nothing that left: not when the engine’s page cannot be made again, nor when a panel that knows less makes it', async ({ extension, office }) => {
  await onlyBackOffice(extension, office);
  const panel = await openPanel(extension);
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('delivery', { timeout: ANSWER_TIMEOUT_MS });
  const left = await panel.getByTestId('ledger-total').textContent();
  await createDocumentOnce(panel, 'fails');
  const [page] = await enginePages(extension);
  await extension.devtools.close(page?.id ?? '');
  await expect(panel.getByRole('button', { name: 'Start again' })).toBeVisible();
  await expect(panel.getByTestId('ledger-total')).toHaveText(left ?? '');

  const fresh = await openPanel(extension);
  await ready(fresh);
  await expect(counter(fresh)).toContainText('0 bytes');
  await panel.bringToFront();
  await panel.getByRole('button', { name: 'Start again' }).click();
  await ready(panel);
  // The button is gone, the keyboard is not lost.
  await expect(box(panel)).toBeFocused();
  for (const knowing of [panel, fresh, await openPanel(extension)]) {
    await expect(knowing.getByTestId('ledger-row')).toHaveCount(1);
    await expect(knowing.getByTestId('ledger-total')).toHaveText(left ?? '');
  }
});

test('Stop ends a call that waits for the engine’s page to be made', async ({ extension }) => {
  const options = await openOptions(extension);
  await options.evaluate(() => void navigator.locks.request('frontdesk-engine-page', () => new Promise(() => undefined)));
  const panel = await openPanel(extension);
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await press(panel, 'Stop');
  await expect(panel.locator('.result')).toContainText('Stopped. Your text is still in the box.');
  await expect(box(panel)).toHaveValue(TICKET);
  expect(await enginePages(extension)).toEqual([]);
  await options.close();
  await ready(panel);
});

test('an engine’s page that is never made shuts out no other panel, and the one that waits says so', async ({ extension }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  await createDocumentOnce(panel, 'hangs');
  const [page] = await enginePages(extension);
  await extension.devtools.close(page?.id ?? '');
  await expect(panel.getByRole('alert')).toContainText('The engine does not answer.', { timeout: ANSWER_TIMEOUT_MS });
  const other = await openPanel(extension);
  await ready(other);
  await panel.bringToFront();
  await panel.getByRole('button', { name: 'Start again' }).click();
  await ready(panel);
  expect(await enginePages(extension)).toHaveLength(1);
});

test('an address with an apostrophe is used as it is, by one engine’s page for all panels', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await options.getByLabel('Address for chat completions').fill(`${office.origin}/o'brien/v1`);
  await chooseMode(options, 'Only back office');
  await save(options);
  const panel = await openPanel(extension);
  await ready(panel);
  const [before] = await enginePages(extension);
  await ready(await openPanel(extension));
  expect((await enginePages(extension)).map(({ id }) => id)).toEqual([before?.id]);
  await write(panel, TICKET);
  await panel.bringToFront();
  await press(panel, 'Classify');
  await expect.poll(() => office.log).toContain("POST /o'brien/v1");
});
