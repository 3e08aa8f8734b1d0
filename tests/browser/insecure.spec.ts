/** A page that came over plain HTTP from elsewhere, where browsers have no storage, no locks and no random UUIDs. */
import { createDesk, expect, LABELS, openPage, test, TICKET } from './fixtures.ts';

test('a model answers all the same, held in memory', async ({ playwright, site }) => {
  // Its own browser, for which a name of no secure origin is this machine.
  const browser = await playwright.chromium.launch({ args: ['--no-sandbox', '--host-resolver-rules=MAP insecure.test 127.0.0.1'] });
  const page = await openPage(await browser.newPage(), { ...site, origin: site.origin.replace('127.0.0.1', 'insecure.test') });
  expect(await page.evaluate(() => window.isSecureContext)).toBe(false);
  const info = await createDesk(page, { modelBaseUrl: '/models' });
  expect(info?.cached).toBe(false);
  expect(info?.warning).toContain('could not be kept');
  const { value } = await page.evaluate(([text, labels]) => window.settle(window.desk.classify(text, { labels, threshold: 0 })), [TICKET, LABELS] as const);
  expect(value).toMatchObject({ value: 'billing', source: 'device' });
  const ids = await page.evaluate(async () => {
    const request = { messages: [{ role: 'user' as const, content: 'Hello' }], max_tokens: 2 };
    const whole = await window.desk.chat.completions.create(request, { threshold: 0 });
    const streamed = new Set<string>();
    for await (const { id } of window.desk.chat.completions.create({ ...request, stream: true }, { threshold: 0 })) streamed.add(id);
    return [whole.id, ...streamed];
  });
  expect(ids).toHaveLength(2);
  expect(new Set(ids).size).toBe(2);
  for (const id of ids) expect(id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
  await browser.close();
});
