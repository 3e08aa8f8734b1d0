/** What leaves the extension: nothing in only_on_device, else exactly what a receipt says; and what the browser itself refuses. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import {
  ANSWER_TIMEOUT_MS,
  ARTICLE,
  chooseFromMenu,
  chooseMode,
  connectOffice,
  counter,
  expect,
  type Extension,
  label,
  launch,
  listen,
  type Listening,
  openOptions,
  openPanel,
  press,
  ready,
  save,
  test,
  TICKET,
  unpacked,
  write,
} from './extension_fixtures.ts';
import { Upstream } from './servers/upstream.ts';

test.describe.configure({ timeout: 120_000 });

test('in only_on_device nothing leaves, whatever is done, also with a back office set up', async ({ folder }) => {
  const office = await listen();
  const extension = await launch(folder);
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await save(options);
  await options.close();
  const panel = await openPanel(extension);
  await chooseFromMenu(extension, office, { job: 'classify', id: 'ticket' });
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  for (const job of ['Route', 'Summarise'] as const) {
    await panel.bringToFront();
    await press(panel, job);
    await expect(panel.locator('.result[aria-busy=false] .answer-sentence')).toHaveText(/^(Answered here|A person)/, { timeout: ANSWER_TIMEOUT_MS });
  }
  await expect(counter(panel)).toContainText('0 bytes left this device');
  await expect(panel.getByText('Nothing has left this device.')).toBeVisible();
  // The page on which the text was selected, and what browsers ask of every site.
  expect(office.log.filter((request) => !['GET /', 'GET /favicon.ico'].includes(request))).toEqual([]);
  expect(await extension.close()).toEqual([]);
  office.close();
});

test('in cascade exactly what the receipt says leaves, once, and every panel lists it', async ({ folder }) => {
  const office = await listen();
  office.upstream.reset('delivery');
  const extension = await launch(folder);
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Ask when unsure');
  await options.getByRole('slider').fill('1');
  await save(options);
  const panel = await openPanel(extension);
  const other = await openPanel(extension);
  await panel.bringToFront();
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('delivery', { timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.getByTestId('answer-sentence')).toHaveText(/^Asked the back office, because the model was only \d+% sure \(100% needed\)\./);
  expect(office.upstream.bodies).toHaveLength(1);
  const [body = ''] = office.upstream.bodies;
  expect(body).toContain(TICKET);
  expect(JSON.parse(body)).toMatchObject({ model: 'the-configured-model' });
  const headers = office.upstream.headers[0] ?? {};
  expect(headers.origin).toBe(extension.origin);
  for (const secret of ['authorization', 'cookie', 'referer']) expect(headers[secret]).toBeUndefined();
  for (const page of [panel, other]) {
    await expect(counter(page)).toContainText(`${new Intl.NumberFormat('en-GB').format(Buffer.byteLength(body))} bytes`);
    await page.bringToFront();
    await page.getByRole('button', { name: 'Sort a message' }).click();
    expect(await page.getByTestId('ledger-body').textContent()).toBe(body);
    await expect(page.locator('.ledger-why')).toHaveText(/^The model was \d+% sure; 100% was needed\. Answered\.$/);
    await expect(page.locator('.ledger-address')).toContainText(`${office.origin}${Upstream.path}`);
  }
  expect((await extension.close()).filter((request) => request.startsWith('POST'))).toEqual([`POST ${office.origin}${Upstream.path}`]);
  office.close();
});

test('a summary by the back office and one that was stopped both have a receipt', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Only back office');
  await save(options);
  const panel = await openPanel(extension);
  office.upstream.text = 'The bridge closes.';
  await write(panel, ARTICLE);
  await press(panel, 'Summarise');
  await expect(panel.getByTestId('summary')).toHaveText('The bridge closes.', { timeout: ANSWER_TIMEOUT_MS });
  office.upstream.behaviour = 'hang';
  await press(panel, 'Summarise');
  await expect.poll(() => office.upstream.bodies.length).toBe(2);
  await press(panel, 'Stop');
  await expect.poll(() => office.upstream.abandoned).toBe(1);
  await expect(panel.getByTestId('ledger-row')).toHaveCount(2);
  await expect(panel.locator('.ledger-why').first()).toHaveText('Mode “Only back office”. Stopped before the answer was there.');
  const bytes = office.upstream.bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0);
  await expect(panel.getByTestId('ledger-total')).toHaveText(`${new Intl.NumberFormat('en-GB').format(bytes)} bytes`);
});

test('a back office that fails leaves the answer of the device, marked so, and the receipt says what happened', async ({ extension, office }) => {
  const options = await openOptions(extension);
  await connectOffice(options, office);
  await chooseMode(options, 'Ask when unsure');
  await options.getByRole('slider').fill('1');
  await save(options);
  const panel = await openPanel(extension);
  office.upstream.behaviour = 'status_500';
  await write(panel, TICKET);
  await press(panel, 'Route');
  await expect(panel.getByTestId('route-value')).toHaveText('A person', { timeout: ANSWER_TIMEOUT_MS });
  await expect(panel.getByTestId('route-sentence')).toContainText('The back office was asked and could not answer.');
  await expect(panel.locator('.ledger-why')).toContainText('Failed: the backend answered with status 500.');
});

/** An expression that tries to reach `url` from wherever it runs. */
function reach(url: string): string {
  return `fetch(${JSON.stringify(url)}, { mode: 'no-cors' }).then(() => 'reached', (error) => 'refused')`;
}

async function enginePage({ devtools, origin }: Extension): Promise<string> {
  return (await devtools.targets(origin)).find(({ url }) => url.includes('/offscreen.html'))?.id ?? '';
}

/** Neither from the pages and the engine's page, by their policies, nor from the engine's worker, by its guard. */
async function expectNoWay(extension: Extension, pages: readonly Page[], to: Listening): Promise<void> {
  const address = `${to.origin}${Upstream.path}`;
  for (const page of pages) expect(await page.evaluate<string>(reach(address)), page.url()).toBe('refused');
  const engine = await enginePage(extension);
  expect(await extension.devtools.evaluate(engine, reach(address)), 'the engine’s page').toBe('refused');
  const workers = await extension.devtools.evaluateInWorkers(engine, waysFromWorker(address));
  expect(workers, 'the engine’s worker').toHaveLength(1);
  for (const way of workers as Readonly<Record<string, string>>[]) expect(new Set(Object.values(way)), JSON.stringify(way)).toEqual(new Set(['refused']));
}

/** An expression that tries each way to reach `url` that a worker is born with. */
function waysFromWorker(url: string): string {
  return `(async (url) => {
    const scopes = [];
    for (let scope = globalThis; scope !== null; scope = Object.getPrototypeOf(scope)) scopes.push(scope);
    const ways = {
      fetch: () => fetch(url, { mode: 'no-cors' }),
      'a request': () => fetch(new Request(url, { mode: 'no-cors' })),
      'an object with two faces': () => { let asked = 0; return fetch({ toString: () => (asked++ === 0 ? location.href : url) }, { mode: 'no-cors' }).then(({ url: reached }) => reached.startsWith(location.origin) ? Promise.reject() : reached); },
      'fetch of a prototype': () => scopes.slice(1).find((scope) => scope.fetch).fetch.call(globalThis, url, { mode: 'no-cors' }),
      'fetch after a deletion': () => { Reflect.deleteProperty(globalThis, 'fetch'); return globalThis.fetch(url, { mode: 'no-cors' }); },
      'a cache': async () => (await caches.open('x')).add(url),
      'a cache of a bucket': async () => (await (await navigator.storageBuckets.open('x')).caches.open('x')).add(url),
      XMLHttpRequest: () => new Promise((resolve, reject) => { const request = new XMLHttpRequest(); request.onload = resolve; request.onerror = reject; request.open('GET', url); request.send(); }),
      WebSocket: () => new WebSocket(url.replace('http', 'ws')),
      EventSource: () => new EventSource(url),
      WebTransport: () => new WebTransport(url.replace('http:', 'https:')),
      'a script': () => import(url),
    };
    const fates = {};
    for (const [way, go] of Object.entries(ways)) fates[way] = await Promise.resolve().then(go).then(() => 'reached', () => 'refused');
    return fates;
  })(${JSON.stringify(url)})`;
}

test('in the general build no page but the engine’s reaches anything, and that only the one address', async ({ extension, office }) => {
  const elsewhere = await listen();
  const panel = await openPanel(extension);
  await ready(panel);
  const options = await openOptions(extension);
  // Only here: not even the engine's page, also where a back office is set up.
  await connectOffice(options, office);
  await save(options);
  await expectNoWay(extension, [panel, options], office);
  await expectNoWay(extension, [panel, options], elsewhere);

  await chooseMode(options, 'Ask when unsure');
  await save(options);
  await ready(panel);
  await expect.poll(async () => (await extension.devtools.targets(extension.origin)).some(({ url }) => url.includes('offscreen.html?office='))).toBe(true);
  await ready(panel);
  await expectNoWay(extension, [panel, options], elsewhere);
  const page = await enginePage(extension);
  expect(await extension.devtools.evaluate(page, reach(`${office.origin}/elsewhere`))).toBe('refused');
  expect(elsewhere.log).toEqual([]);
  expect(office.log).toEqual([]);
  expect(await extension.devtools.evaluate(page, reach(`${office.origin}${Upstream.path}`))).toBe('reached');

  expect(await extension.background.evaluate<string>(reach(elsewhere.origin)), 'the service worker').toBe('refused');
  const inBackground = await extension.background.evaluate<Readonly<Record<string, string>>>(waysFromWorker(elsewhere.origin));
  expect(new Set(Object.values(inBackground)), JSON.stringify(inBackground)).toEqual(new Set(['refused']));
  expect(elsewhere.log).toEqual([]);
  elsewhere.close();
});

test('a build for one back office reaches no other from anywhere, and its options page shows it fixed', async () => {
  const office = await listen();
  const elsewhere = await listen();
  const { folder, remove } = await unpacked(['--backend', office.origin]);
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as { content_security_policy: { extension_pages: string } };
  expect(manifest.content_security_policy.extension_pages).toContain(`connect-src 'self' ${office.origin};`);
  const extension = await launch(folder);
  const options = await openOptions(extension);
  await expect(options.getByLabel('Address for chat completions')).toHaveValue(`${office.origin}${Upstream.path}`);
  await expect(options.getByLabel('Address for chat completions')).not.toBeEditable();
  await options.evaluate(() => chrome.storage.local.set({ settings: { mode: 'only_in_cloud', office: { url: 'https://evil.example/v1', model: 'm' } } }));
  await options.reload();
  await expect(options.getByLabel('Address for chat completions')).toHaveValue(`${office.origin}${Upstream.path}`);
  await chooseMode(options, 'Ask when unsure');
  await save(options);
  const panel = await openPanel(extension);
  await ready(panel);
  await expectNoWay(extension, [panel, options], elsewhere);
  expect(await extension.background.evaluate<string>(reach(elsewhere.origin))).toBe('refused');
  expect(elsewhere.log).toEqual([]);
  office.upstream.reset('billing');
  await options.getByRole('slider').fill('1');
  await save(options);
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toHaveText('billing', { timeout: ANSWER_TIMEOUT_MS });
  expect(office.upstream.bodies).toHaveLength(1);
  await extension.close();
  await remove();
  office.close();
  elsewhere.close();
});

test('messages that are none of ours are refused, and the engine goes on', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  const hostile: unknown[] = [
    null,
    'classify',
    [],
    { id: 1 },
    { id: 2, verb: 'eval', request: '1' },
    { id: 3, verb: 'classify', request: { text: 5 } },
    { id: 4, verb: 'classify', request: { text: 'x'.repeat(6001) } },
    { id: 5, verb: 'classify', request: { text: 'x', mode: 'only_in_cloud' } },
    { id: 6, verb: 'configure', request: { mode: 'only_in_cloud', office: { url: 'https://evil.example/', model: 'm' } } },
    { id: 7, verb: 'constructor', request: null },
    { id: 8, verb: 'adopt', request: [{ id: 1, bytes: -1 }] },
    { id: 1e9 + 0.5, verb: 'watch', request: null },
    { id: 9, verb: 'configure', request: { mode: 'cascade', office: { url: 'https://evil.example/v1', model: 'm' }, labels: [{ name: 'a' }, { name: 'b' }], queues: [{ name: 'a' }, { name: 'b' }], threshold: 0.5, ownModel: null } },
  ];
  const answers = await panel.evaluate(async (messages) => {
    const port = chrome.runtime.connect({ name: 'frontdesk' });
    const heard: { id: number; error?: { code: string } }[] = [];
    port.onMessage.addListener((message: (typeof heard)[number]) => heard.push(message));
    for (const message of messages) port.postMessage(message);
    await new Promise((resolve) => setTimeout(resolve, 500));
    port.disconnect();
    return heard;
  }, hostile);
  expect(answers.map(({ id, error }) => [id, error?.code]).sort()).toEqual(
    [1, 2, 3, 4, 5, 6, 7, 8].map((id) => [id, 'invalid_message']).concat([[9, 'other_address']]),
  );
  const stranger = await panel.evaluate(
    () =>
      new Promise((resolve) => {
        const port = chrome.runtime.connect({ name: 'stranger' });
        port.onDisconnect.addListener(() => resolve('refused'));
        port.onMessage.addListener(() => resolve('answered'));
        port.postMessage({ id: 1, verb: 'retire', request: null });
      }),
  );
  expect(stranger).toBe('refused');
  await write(panel, TICKET);
  await press(panel, 'Classify');
  await expect(label(panel)).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
  expect(office.log).toEqual([]);
});

test('a web page reaches neither the engine nor any file of the extension', async ({ extension, office }) => {
  const panel = await openPanel(extension);
  await ready(panel);
  const page = await extension.context.newPage();
  await page.goto(office.origin);
  const found = await page.evaluate(async (id) => {
    const { chrome } = globalThis as { chrome?: { runtime?: { connect?: unknown } } };
    const files = ['panel.html', 'offscreen.html', 'frontdesk/index.js', 'manifest.json', 'icons/icon-16.png'];
    const reached = await Promise.all(files.map((file) => fetch(`chrome-extension://${id}/${file}`).then(() => file, () => undefined)));
    const frame = document.createElement('iframe');
    frame.src = `chrome-extension://${id}/panel.html`;
    document.body.append(frame);
    await new Promise((resolve) => (frame.onload = resolve));
    let framed = 'nothing that can be read';
    try {
      framed = frame.contentDocument?.title ?? framed;
    } catch {
      // Of another origin.
    }
    return { runtime: typeof chrome?.runtime?.connect, reached: reached.filter((file) => file !== undefined), framed };
  }, extension.id);
  expect(found).toEqual({ runtime: 'undefined', reached: [], framed: 'nothing that can be read' });
  expect(page.frames().filter((frame) => frame.url().endsWith('panel.html') && frame.url().startsWith('chrome-extension:'))).toEqual([]);
});

test('every worker of the engine, threads too, begins with what takes its ways out away', async ({ folder }) => {
  for (const name of ['worker.js', 'thread_worker.js']) expect((await readFile(join(folder, 'frontdesk', name), 'utf8')).split('\n')[0], name).toBe("import '../guard.js';");
});

test('the manifest asks for exactly four permissions and no host, and no script names one', async ({ folder }) => {
  const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Record<string, unknown>;
  expect(manifest.permissions).toEqual(['contextMenus', 'offscreen', 'sidePanel', 'storage']);
  for (const key of ['host_permissions', 'optional_host_permissions', 'optional_permissions', 'content_scripts', 'externally_connectable', 'web_accessible_resources', 'update_url']) expect(manifest[key], key).toBeUndefined();
  const policy = (manifest.content_security_policy as { extension_pages: string }).extension_pages;
  expect(policy).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval';");
  expect(policy).not.toMatch(/unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|data:|blob:/);
  const scripts = (await readdir(folder, { recursive: true })).filter((name) => /\.(?:js|html|css)$/.test(name));
  expect(scripts).toContain(join('frontdesk', 'worker.js'));
  for (const name of scripts) {
    const hosts = [...(await readFile(join(folder, name), 'utf8')).matchAll(/\b(?:https?|wss?):\/\/([\w-]+(?:\.[\w-]+)+)/g)].map(([, host]) => host ?? '');
    expect(hosts.filter((host) => host !== 'www.w3.org' && !host.endsWith('.example')), name).toEqual([]);
  }
});
