/** What ends and what goes on: the service worker, the engine's page, panels, and options that change meanwhile. */
import type { Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, ARTICLE, chooseMode, connectOffice, counter, expect, type Extension, label, launch, listen, openOptions, openPanel, press, ready, save, test, TICKET, write } from './extension_fixtures.ts';
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

test('an answer that streams goes on when the service worker is stopped', async ({ folder }) => {
  const extension = await launch(folder);
  const panel = await openPanel(extension);
  await ready(panel);
  await write(panel, `${ARTICLE} `.repeat(8));
  const session = await extension.context.newCDPSession(panel);
  await session.send('ServiceWorker.enable');
  const stopped = extension.background.waitForEvent('close');
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary')).not.toHaveText(/Reading/, { timeout: ANSWER_TIMEOUT_MS });
  await session.send('ServiceWorker.stopAllWorkers');
  console.log("T",(await extension.devtools.targets(extension.origin)).map(t=>t.type)); await new Promise((r)=>setTimeout(r,1000)); console.log("T",(await extension.devtools.targets(extension.origin)).map(t=>t.type));
  const before = await panel.getByTestId('summary').textContent();
  await expect(panel.getByTestId('summary-sentence')).toHaveText(/^Answered here in /, { timeout: ANSWER_TIMEOUT_MS });
  expect(before?.length).toBeLessThan((await panel.getByTestId('summary').textContent())?.length ?? 0);
  expect((await extension.devtools.targets(extension.origin)).filter(({ type }) => type === 'service_worker')).toEqual([]);
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  await extension.close();
});

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
