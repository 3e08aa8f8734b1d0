/** What the tests of the extension share: the zip, packed and unpacked, in a real Chromium, and what a person does there. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BrowserContext, chromium, expect, type Page, test as base, type Worker } from '@playwright/test';
import { unzipSync } from '../../www/node_modules/fflate/esm/index.mjs';
import { DevTools } from './extension_devtools.ts';
import { Upstream } from './servers/upstream.ts';

export { expect } from '@playwright/test';

const PACK = fileURLToPath(new URL('../../www/extension/pack.mjs', import.meta.url));
const EXECUTABLE = process.env.FRONTDESK_CHROMIUM ?? '/usr/bin/chromium';
export const ANSWER_TIMEOUT_MS = 60_000;
export const TICKET = 'I was charged twice for my order and want my money back.';
export const ARTICLE =
  'The city council voted on Tuesday to close the old bridge for repairs from March until October. Buses will use the northern bridge instead. Shop owners on the east bank fear that they will lose customers, and asked for compensation.';

type Job = 'classify' | 'route' | 'summarise';

/** A browser with the extension. */
export interface Extension {
  readonly context: BrowserContext;
  readonly id: string;
  readonly origin: string;
  readonly devtools: DevTools;
  /** The service worker, as long as it runs. */
  readonly background: Worker;
  /** Closes the browser; the addresses of all requests that the extension's pages and workers made over a network, ever. */
  close(): Promise<string[]>;
}

/** A real server on this machine that listens, and allows the extension's pages to read its answers. */
export interface Listening {
  readonly origin: string;
  /** `METHOD /path` of each request. */
  readonly log: string[];
  readonly upstream: Upstream;
  close(): void;
}

interface WorkerFixtures {
  /** Where the general build's zip was unpacked. */
  readonly folder: string;
  readonly shared: Extension;
  readonly office: Listening;
}

export const test = base.extend<{ extension: Extension }, WorkerFixtures>({
  folder: [
    async ({}, use) => {
      const { folder, remove } = await unpacked([]);
      await use(folder);
      await remove();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  shared: [
    async ({ folder }, use) => {
      const extension = await launch(folder);
      await use(extension);
      await extension.close();
    },
    { scope: 'worker', timeout: 120_000 },
  ],
  office: [
    async ({}, use) => {
      const office = await listen();
      await use(office);
      office.close();
    },
    { scope: 'worker' },
  ],
  /** As after the installation: no options, no pages. */
  extension: async ({ shared, office }, use) => {
    await closePages(shared);
    const [page] = shared.context.pages();
    await page?.goto(`${shared.origin}/options.html`);
    await page?.evaluate(async () => {
      await chrome.storage.local.clear();
      await chrome.storage.session.clear();
      await chrome.offscreen.closeDocument().catch(() => undefined);
    });
    await page?.goto('about:blank');
    // Not before: the browser sends a request again whose connection breaks too early.
    office.upstream.reset('delivery');
    office.log.length = 0;
    await use(shared);
  },
});

/** Packs with these options, and unpacks the zip elsewhere: what is tested is what is shipped. */
export async function unpacked(options: readonly string[]): Promise<{ folder: string; zip: string; remove: () => Promise<void> }> {
  const place = await mkdtemp(join(tmpdir(), 'frontdesk-extension-'));
  const zip = join(place, 'extension.zip');
  execFileSync(process.execPath, [PACK, '--folder', join(place, 'packed'), '--out', zip, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
  const folder = join(place, 'unpacked');
  for (const [name, bytes] of Object.entries(unzipSync(new Uint8Array(await readFile(zip))))) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  return { folder, zip, remove: () => rm(place, { recursive: true, force: true }) };
}

export async function launch(folder: string, { headless = true, env = {} }: { headless?: boolean; env?: Readonly<Record<string, string>> } = {}): Promise<Extension> {
  const profile = await mkdtemp(join(tmpdir(), 'frontdesk-profile-'));
  const netLog = join(profile, 'net_log.json');
  const context = await chromium.launchPersistentContext(join(profile, 'data'), {
    executablePath: EXECUTABLE,
    headless,
    ...(!headless && { viewport: null }),
    env: { ...(process.env as Record<string, string>), ...env },
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [
      '--no-sandbox',
      '--no-first-run',
      '--window-size=1200,900',
      '--window-position=0,0',
      `--load-extension=${folder}`,
      // Without it the one above is not heard.
      '--disable-features=DisableLoadExtensionCommandLineSwitch',
      `--log-net-log=${netLog}`,
    ],
  });
  const background = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  const origin = new URL(background.url()).origin.replace('null', `chrome-extension://${new URL(background.url()).host}`);
  return {
    context,
    background,
    origin,
    id: new URL(origin).host,
    devtools: await DevTools.of(context),
    close: async () => {
      await context.close();
      const requests = requestsOf(await readFile(netLog, 'utf8'), origin);
      await rm(profile, { recursive: true, force: true });
      return requests;
    },
  };
}

/** Of the browser's own log, which also knows the engine's page and its workers. */
function requestsOf(netLog: string, origin: string): string[] {
  const { events } = JSON.parse(netLog) as { events: readonly { readonly params?: { readonly url?: string; readonly initiator?: string; readonly method?: string } }[] };
  const started = events.map(({ params }) => params).filter((params) => params?.initiator === origin && /^(?:https?|wss?):/.test(params.url ?? ''));
  return started.map((params) => `${params?.method ?? ''} ${params?.url ?? ''}`);
}

export async function listen(): Promise<Listening> {
  const log: string[] = [];
  const upstream = new Upstream();
  const server: Server = createServer((request, response) => {
    log.push(`${request.method ?? ''} ${request.url ?? ''}`);
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*');
    response.setHeader('access-control-allow-headers', 'content-type');
    response.setHeader('cross-origin-resource-policy', 'cross-origin');
    if (request.method === 'POST' && request.url === Upstream.path) {
      upstream.handle(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
      return;
    }
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(request.method === 'OPTIONS' ? '' : `<!doctype html><title>Tickets</title><p id="ticket">${TICKET}</p><p id="article">${ARTICLE}</p><p id="long">${'Too much. '.repeat(700)}</p>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    log,
    upstream,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** All but one, which keeps the window. */
export async function closePages({ context }: Extension): Promise<void> {
  const [first, ...rest] = context.pages();
  for (const page of rest) await page.close();
  await first?.goto('about:blank');
}

/** The panel in a tab of its own: a side panel's page cannot be driven from outside. */
export async function openPanel({ context, origin }: Extension): Promise<Page> {
  const page = await context.newPage();
  await page.setViewportSize({ width: 360, height: 800 });
  await page.goto(`${origin}/panel.html`);
  return page;
}

export async function ready(panel: Page): Promise<void> {
  await expect(panel.getByTestId('readiness')).toHaveAttribute('data-phase', 'ready', { timeout: ANSWER_TIMEOUT_MS });
}

export async function openOptions({ context, origin }: Extension): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${origin}/options.html`);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  return page;
}

export async function save(options: Page): Promise<void> {
  await options.getByRole('button', { name: 'Save' }).click();
  await expect(options.getByText('Saved. Open panels use it already.')).toBeVisible();
}

export async function chooseMode(options: Page, name: string): Promise<void> {
  await options.getByRole('radio', { name: new RegExp(`^${name}`) }).check();
}

export async function connectOffice(options: Page, { origin }: Listening): Promise<void> {
  await options.getByLabel('Address for chat completions').fill(`${origin}${Upstream.path}`);
  await options.getByLabel('Name of its model').fill('the-configured-model');
}

/**
 * Selects on a real page and fires the menu's real listener with what the menu would hand over. The menu itself and the
 * panel's opening by that click are seen in extension_native.spec.ts.
 */
export async function chooseFromMenu({ context, background }: Extension, { origin }: Listening, { job, id }: { job: Job; id: string }): Promise<void> {
  const page = await context.newPage();
  await page.goto(origin);
  await page.locator(`#${id}`).click({ clickCount: 3 });
  const selectionText = (await page.evaluate(() => getSelection()?.toString() ?? '')).trim();
  expect(selectionText).not.toBe('');
  await background.evaluate(
    async ([menuItemId, text]) => {
      const [tab] = await chrome.tabs.query({ active: true, lastFocusedWindow: true });
      (chrome.contextMenus.onClicked as unknown as { dispatch(info: object, tab: unknown): void }).dispatch({ menuItemId, selectionText: text }, tab);
    },
    [job, selectionText],
  );
}

export async function write(panel: Page, text: string): Promise<void> {
  await box(panel).fill(text);
}

export function box(panel: Page) {
  return panel.getByRole('textbox', { name: 'Text' });
}

export async function press(panel: Page, name: 'Classify' | 'Route' | 'Summarise' | 'Stop'): Promise<void> {
  await panel.getByRole('button', { name, exact: true }).click();
}

export function counter(panel: Page) {
  return panel.getByTestId('byte-counter');
}

export function label(panel: Page) {
  return panel.getByTestId('answer-value');
}
