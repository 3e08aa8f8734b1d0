/** The demo with a back office, and its server: what left is listed to the byte, failures cost nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  KEY,
  SERVER,
  UPSTREAM_MODEL,
  answer,
  counter,
  expect,
  expectAccessible,
  expectBars,
  expectNothingLeft,
  sentence,
  setThreshold,
  sidewaysScroll,
  switchMeanwhile,
  test,
  useOtherLabels,
} from './demo_fixtures.ts';
import { Upstream } from './servers/upstream.ts';

test.describe('with a back office', () => {
  test('the ledger shows what left, to the byte', async ({ connected }) => {
    const { page, upstream } = connected;
    await setThreshold(page, 1);
    const leaving = page.waitForRequest((request) => request.method() === 'POST');
    await answer(page);
    const body = (await leaving).postData() ?? '';
    const bytes = Buffer.byteLength(body);
    expect(bytes).toBeGreaterThan(0);

    await expect(page.getByTestId('answer-value')).toHaveText('delivery');
    await expect(sentence(page)).toHaveText(/^Asked the back office, because the model was only \d+% sure \(100% needed\)\. It took [\d.]+ m?s\.$/);
    await expect(page.getByText(/^The model here would have said/)).toBeVisible();
    await expect(counter(page)).toContainText(`${bytes} bytes left this device`);
    await expect(counter(page)).toContainText('1 request with your text');
    await expect(page.getByTestId('ledger-row')).toHaveCount(1);
    await expect(page.getByTestId('ledger-bytes')).toHaveText(String(bytes));
    await page.getByRole('button', { name: 'Sort a message' }).click();
    expect(await page.getByTestId('ledger-body').textContent()).toBe(body);
    await expect(page.getByTestId('ledger-row')).toContainText('100% was needed');
    await expect(page.getByTestId('ledger-total')).toHaveText(`${bytes} bytes`);
    await expectAccessible(page);
    await page.setViewportSize({ width: 360, height: 740 });
    await expect.poll(() => sidewaysScroll(page)).toBe(0);

    // The proxy adds the key and the model; the rest of the body arrives unchanged.
    expect(upstream.bodies).toHaveLength(1);
    expect(JSON.parse(upstream.bodies[0] ?? '')).toEqual({ ...(JSON.parse(body) as object), model: UPSTREAM_MODEL });
    expect(upstream.headers[0]?.authorization).toBe(`Bearer ${KEY}`);
    expect(body).not.toContain(KEY);
  });

  test('the ledger can be saved', async ({ connected }) => {
    const { page } = connected;
    await page.getByRole('radio', { name: 'Only back office' }).check();
    await answer(page);
    const saving = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export as JSON' }).click();
    const stream = await (await saving).createReadStream();
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    const saved = JSON.parse(Buffer.concat(pieces).toString('utf8')) as { totalBytes: number; requests: { body: string; bytes: number; why: string }[] };
    expect(saved.requests).toHaveLength(1);
    expect(saved.totalBytes).toBe(Buffer.byteLength(saved.requests[0]?.body ?? ''));
    expect(saved.requests[0]).toMatchObject({ bytes: saved.totalBytes, why: 'The mode says so.' });
  });

  test('a failing back office costs nothing but its answer', async ({ connected }) => {
    const { page, upstream } = connected;
    upstream.behaviour = 'status_500';
    await setThreshold(page, 1);
    await answer(page);
    await expect(sentence(page)).toHaveText(/^The back office was asked and failed \(it answered with status 500\); this is the local best guess/);
    await expect(page.getByText('Your text and this answer are kept.')).toBeVisible();
    await expectBars(page, 6);
    await expect(page.getByTestId('ledger-row')).toContainText('Answered with status 500.');
    await expect(counter(page)).not.toContainText('0 bytes left');
    await expectAccessible(page);
  });

  test('where only the back office may answer, its failure is an alert that says what to do', async ({ connected }) => {
    const { page, upstream } = connected;
    upstream.behaviour = 'status_500';
    await page.getByRole('radio', { name: 'Only back office' }).check();
    await page.getByRole('button', { name: 'Run' }).click();
    const alert = page.getByRole('alert');
    await expect(alert).toContainText('The back office answered with an error.');
    await expect(alert).toContainText('Your text is still in the box.');
    await expect(alert).toContainText('choose a mode that lets the model here answer');
    await expect(page.getByTestId('ledger-row')).toHaveCount(1);
  });

  test('stopping while the back office thinks is in the ledger', async ({ connected }) => {
    const { page, upstream } = connected;
    upstream.behaviour = 'hang';
    await page.getByRole('radio', { name: 'Only back office' }).check();
    await page.getByRole('button', { name: 'Run' }).click();
    await expect.poll(() => upstream.bodies.length).toBe(1);
    await page.getByRole('button', { name: 'Stop' }).click();
    await expect(page.getByTestId('ledger-row')).toContainText('Stopped before an answer came.');
    await expect(counter(page)).not.toContainText('0 bytes left');
    // The server lets go of the back office too.
    await expect.poll(() => upstream.abandoned).toBe(1);
  });

  test('“Only here” sends nothing, however unsure the model is', async ({ connected }) => {
    const { page, upstream } = connected;
    await setThreshold(page, 1);
    await page.getByRole('radio', { name: 'Only here' }).check();
    await answer(page);
    await expect(sentence(page)).toContainText('Answered here in');
    await expect(counter(page)).toContainText('0 bytes left this device');
    expectNothingLeft(connected);
    expect(upstream.bodies).toEqual([]);
  });
});

test.describe('a mode that changes while the model reads', () => {
  const long = 'The parcel is late and nobody answers the phone. '.repeat(100).trim();

  test('becomes “Only here”: nothing leaves, and the page says that it stopped', async ({ connected }) => {
    const { page, upstream } = connected;
    await useOtherLabels(page);
    await setThreshold(page, 1);
    const box = page.getByRole('textbox', { name: 'A message to sort' });
    await box.fill(long);
    await switchMeanwhile(page, '#run', 'Only here');
    await expect(page.getByTestId('stopped-notice')).toContainText('Stopped, because the mode “Only here” allows less than before.');
    await expect(box).toHaveValue(long);
    await expectAccessible(page);
    // The engine is past the first call when it has answered a second one.
    await answer(page);
    await expect(sentence(page)).toContainText('Answered here in');
    await expect(page.getByTestId('stopped-notice')).toHaveCount(0);
    expectNothingLeft(connected);
    expect(upstream.bodies).toEqual([]);
  });

  test('allows more: the call goes on under its own terms', async ({ connected }) => {
    const { page, upstream } = connected;
    await useOtherLabels(page);
    await setThreshold(page, 1);
    await page.getByRole('radio', { name: 'Here first' }).check();
    await page.getByRole('textbox', { name: 'A message to sort' }).fill(long);
    await switchMeanwhile(page, '#run', 'Only back office');
    await expect(sentence(page)).toContainText('Answered here in');
    await expect(page.getByTestId('stopped-notice')).toHaveCount(0);
    expect(upstream.bodies).toEqual([]);
  });
});

test.describe('the ledger says why, also where the back office failed', () => {
  for (const { what, mode, text, why } of [
    { what: 'that the mode said so', mode: 'Back office first', text: 'I was charged twice for my order.', why: 'The mode says so.' },
    { what: 'that the text is strange', mode: 'Ask when unsure', text: 'Prove by induction that the sum of the first n odd numbers is a square.', why: 'The text is unlike all that was learnt.' },
    { what: 'how sure the model was', mode: 'Ask when unsure', text: 'I was charged twice for my order.', why: '100% was needed.' },
  ]) {
    test(what, async ({ connected }) => {
      const { page, upstream } = connected;
      upstream.behaviour = 'status_500';
      await setThreshold(page, 1);
      await page.getByRole('radio', { name: mode }).check();
      await page.getByRole('textbox', { name: 'A message to sort' }).fill(text);
      await answer(page);
      await expect(sentence(page)).toContainText('The back office was asked and failed');
      await expect(page.getByTestId('ledger-row')).toHaveCount(1);
      await expect(page.getByTestId('ledger-row')).toContainText(why);
    });
  }
});

test.describe('the server', () => {
  test('serves ranges of the model, and nothing outside its folders', async ({ quietDemo: { origin }, request }) => {
    const model = `${origin}/models/smollm2-135m-instruct.gguf`;
    const part = await request.get(model, { headers: { range: 'bytes=0-3' } });
    expect(part.status()).toBe(206);
    expect(part.headers()['content-range']).toBe('bytes 0-3/98362432');
    expect(await part.text()).toBe('GGUF');
    const beyond = await request.get(model, { headers: { range: 'bytes=98362432-' } });
    expect(beyond.status()).toBe(416);
    const { etag = '' } = part.headers();
    expect((await request.get(model, { headers: { 'if-none-match': etag } })).status()).toBe(304);
    for (const path of ['/%2e%2e/build.mjs', '/models/..%2f..%2fetc', '/models/%2e%2e%2fdownloads', '/..%5cbuild.mjs']) {
      expect((await request.get(`${origin}${path}`)).status(), path).toBe(404);
    }
    expect((await request.put(`${origin}/config.json`)).status()).toBe(405);
    const page = await request.get(`${origin}/`);
    expect(page.headers()).toMatchObject({
      'content-security-policy': expect.stringContaining("script-src 'self' 'wasm-unsafe-eval';"),
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'x-content-type-options': 'nosniff',
    });
  });

  test('spends its key for this page only', async ({ connected, request }) => {
    const address = `${connected.origin}${Upstream.path}`;
    const data = { messages: [] };
    expect((await request.post(address, { data, headers: { 'sec-fetch-site': 'cross-site' } })).status()).toBe(403);
    expect((await request.post(address, { data: '{}', headers: { 'content-type': 'text/plain' } })).status()).toBe(415);
    expect((await request.post(address, { data, headers: { host: 'elsewhere.example' } })).status()).toBe(421);
    expect((await request.post(address, { data: { messages: ['x'.repeat(300_000)] } })).status()).toBe(413);
    expect((await request.post(address, { data: '[]', headers: { 'content-type': 'application/json' } })).status()).toBe(400);
    expect((await request.get(address)).status()).toBe(405);
    expect(connected.upstream.bodies).toEqual([]);
  });

  test('says in words that its port is taken', async ({ quietDemo: { origin } }) => {
    const { port } = new URL(origin);
    const second = spawn(SERVER, ['--port', port], { stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    second.stderr.on('data', (piece: Buffer) => (words += piece.toString()));
    const [code] = (await once(second, 'close')) as [number];
    expect(code).toBe(1);
    expect(words).toContain(`Port ${port} is in use.`);
  });
});
