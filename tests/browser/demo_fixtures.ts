/** What the tests of the demo share: its real server, the loaded page, and what a visitor does on it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, type Page, test as base } from '@playwright/test';
import AxeBuilder from '../../www/node_modules/@axe-core/playwright/dist/index.mjs';
import { Upstream } from './servers/upstream.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
/** The relay, which serves the demo. */
export const SERVER = resolve(repository, process.env.CARGO_TARGET_DIR ?? 'target', 'debug', 'frontdesk-relay');
export const KEY = 'sk-never-in-the-page';
export const UPSTREAM_MODEL = 'the-configured-model';
const PAGE = join(repository, 'www/demo/dist');
const MODELS = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models');
/** Loading the real model on a busy machine takes a while. */
const READY_TIMEOUT_MS = 90_000;
export const ANSWER_TIMEOUT_MS = 60_000;

export interface DemoServer {
  readonly origin: string;
  close(): Promise<void>;
}

export interface Demo {
  readonly origin: string;
  readonly page: Page;
  /** `METHOD url` of every request of the page and its workers since the test began. */
  readonly requests: string[];
}

interface WorkerFixtures {
  /** A demo without a back office, its model loaded. */
  readonly quietDemo: Demo;
  /** A demo whose back office is `upstream`, its model loaded. */
  readonly connectedDemo: Demo & { readonly upstream: Upstream };
}

export const test = base.extend<{ quiet: Demo; connected: WorkerFixtures['connectedDemo'] }, WorkerFixtures>({
  quietDemo: [
    async ({ browser }, use) => {
      const server = await startDemo({});
      const context = await browser.newContext();
      await use(await startedDemo(server, await context.newPage()));
      await context.close();
      await server.close();
    },
    { scope: 'worker', timeout: 2 * READY_TIMEOUT_MS },
  ],
  connectedDemo: [
    async ({ browser }, use) => {
      const upstream = new Upstream();
      const office = createServer((request, response) => void upstream.handle(request, response));
      await new Promise<void>((resolve) => office.listen(0, '127.0.0.1', resolve));
      const { port } = office.address() as AddressInfo;
      const server = await startDemo({
        FRONTDESK_UPSTREAM_URL: `http://127.0.0.1:${port}${Upstream.path}`,
        FRONTDESK_UPSTREAM_KEY: KEY,
        FRONTDESK_UPSTREAM_MODEL: UPSTREAM_MODEL,
      });
      const context = await browser.newContext();
      await use({ ...(await startedDemo(server, await context.newPage())), upstream });
      await context.close();
      await server.close();
      office.closeAllConnections();
      office.close();
    },
    { scope: 'worker', timeout: 2 * READY_TIMEOUT_MS },
  ],
  quiet: async ({ quietDemo }, use) => {
    await visitAgain(quietDemo);
    await use(quietDemo);
  },
  connected: async ({ connectedDemo }, use) => {
    connectedDemo.upstream.reset('delivery');
    await visitAgain(connectedDemo);
    await use(connectedDemo);
  },
});

export { expect } from '@playwright/test';

/** Starts the real server on a free port. */
export async function startDemo(environment: Readonly<Record<string, string>>, options: readonly string[] = []): Promise<DemoServer> {
  if (!existsSync(PAGE)) throw new Error('the demo is not built: run `npm run build` in www');
  if (!existsSync(SERVER)) throw new Error('its server is not built: run `cargo build -p frontdesk-relay`');
  const server: ChildProcess = spawn(SERVER, ['--port', '0', '--page', PAGE, '--models', MODELS, '--log', 'warn', ...options], {
    // A back office of the machine's own must not answer in a test.
    env: { ...process.env, FRONTDESK_UPSTREAM_URL: '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const origin = await new Promise<string>((resolve, reject) => {
    let words = '';
    server.stdout?.on('data', (piece: Buffer) => {
      words += piece.toString();
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(words)?.[0];
      if (address !== undefined) resolve(address);
    });
    server.on('exit', () => {
      reject(new Error(`the demo server ended early: ${words}`));
    });
  });
  return {
    origin,
    close: async () => {
      server.kill();
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
    },
  };
}

/** A server whose models folder holds `content` under both models' names, or nothing. */
export async function withModelsFolder(content: string | undefined, run: (server: DemoServer) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'frontdesk-demo-'));
  await mkdir(join(folder, 'models'));
  if (content !== undefined) for (const id of ['smollm2-135m-instruct', 'minilm-l6']) await writeFile(join(folder, 'models', `${id}.gguf`), content);
  const server = await startDemo({}, ['--models', join(folder, 'models')]);
  try {
    await run(server);
  } finally {
    await server.close();
    await rm(folder, { recursive: true });
  }
}

export async function firstVisit({ origin }: DemoServer, page: Page): Promise<Demo> {
  const requests: string[] = [];
  page.context().on('request', (request) => requests.push(`${request.method()} ${request.url()}`));
  await page.setViewportSize({ width: 1280, height: 720 });
  await page.goto(origin);
  return { origin, page, requests };
}

export async function startedDemo(server: DemoServer, page: Page): Promise<Demo> {
  const demo = await firstVisit(server, page);
  await startLanguageModel(page);
  await ready(page);
  return demo;
}

/** Gives the consent that the big file waits for. */
export async function startLanguageModel(page: Page): Promise<void> {
  await page.locator('.start').getByRole('button', { name: 'Download 98 MB and start' }).click();
}

/** The first sample, answered by the small model without being asked. */
export async function firstAnswer(page: Page): Promise<void> {
  await expect(page.getByTestId('answer-by')).toHaveText('The small model answered, from 120 sample messages. There is no guarantee.', { timeout: READY_TIMEOUT_MS });
}

/** Labels that nothing has learnt, so that the language model answers. */
export async function useOtherLabels(page: Page): Promise<void> {
  await page.getByLabel('Label 6').fill('kind words');
  await expect(page.getByTestId('who-answers')).toContainText('Nothing has learnt these labels');
}

/** A fresh page for a test; the models are kept in the browser and starts by itself. */
export async function visitAgain({ page, requests }: Demo, { keep = false } = {}): Promise<void> {
  if (!keep) {
    await page.setViewportSize({ width: 1280, height: 720 });
    await page.emulateMedia({ colorScheme: null, reducedMotion: null });
    await page.evaluate(async () => {
      // What the test before has taught would answer for its labels.
      const tasks = await navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('frontdesk-tasks', { create: true }));
      for await (const name of tasks.keys()) if (name.includes('tickets')) await tasks.removeEntry(name);
      localStorage.clear();
      // A reload would come back to where the last test had scrolled.
      scrollTo(0, 0);
    });
  }
  await page.reload();
  await ready(page);
  requests.length = 0;
}

export async function ready(page: Page): Promise<void> {
  await expect(page.locator('.readiness')).toHaveAttribute('data-phase', 'ready', { timeout: READY_TIMEOUT_MS });
  // Else its answer could be taken for one that a test asks for.
  if (((await page.getByTestId('who-answers').textContent()) ?? '').startsWith('The small model')) await expect(page.locator('.answer-body')).toBeAttached();
}

export async function answer(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run' }).click();
  await answered(page);
}

export async function answered(page: Page): Promise<void> {
  await expect(page.locator('.answer-body[data-stale=false]')).toBeVisible({ timeout: ANSWER_TIMEOUT_MS });
}

/** Presses a button and, while the model is still reading, chooses another mode. */
export async function switchMeanwhile(page: Page, button: string, mode: string): Promise<void> {
  const radio = await page.getByRole('radio', { name: mode }).elementHandle();
  await page.evaluate(
    async ([selector, choice]) => {
      document.querySelector<HTMLElement>(selector)?.click();
      for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame);
      (choice as HTMLElement | null)?.click();
    },
    [button, radio] as const,
  );
}

export function counter(page: Page) {
  return page.getByTestId('byte-counter');
}

export function sentence(page: Page) {
  return page.getByTestId('answer-sentence');
}

/** Opens what stands behind the chip: where the model computes, and the switch. */
export async function openFacts(page: Page): Promise<void> {
  await page.locator('.readiness summary').click();
  await expect(page.getByRole('group', { name: 'Compute on' })).toBeVisible();
}

export function fact(page: Page, name: string) {
  return page.locator('.readiness-facts .fact', { has: page.getByText(name, { exact: true }) });
}

export function backendChoice(page: Page, name: 'Auto' | 'CPU' | 'GPU') {
  return page.getByRole('radio', { name, exact: true });
}

export async function setThreshold(page: Page, threshold: number): Promise<void> {
  await page.getByRole('slider').fill(String(threshold));
}

/** One bar for each label, likeliest first, adding up to about 100%. */
export async function expectBars(page: Page, labels: number): Promise<void> {
  await expect(page.locator('.bar')).toHaveCount(labels);
  const figures = (await page.locator('.bar-figure').allTextContents()).map((figure) => (figure.startsWith('<') ? 0 : Number.parseInt(figure, 10)));
  expect(figures).toEqual([...figures].sort((a, b) => b - a));
  expect(figures.reduce((sum, figure) => sum + figure, 0)).toBeGreaterThan(90);
  expect(figures.reduce((sum, figure) => sum + figure, 0)).toBeLessThan(110);
}

/** Since the page was ready: no request but those for the page's own files, none that could carry text. */
export function expectNothingLeft({ origin, requests }: Demo): void {
  expect(requests.filter((request) => !request.startsWith(`GET ${origin}/`))).toEqual([]);
}

export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
}

export async function sidewaysScroll(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Presses Tab until the control of this name has the focus, as a visitor without a mouse would. */
export async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
    });
    if (focused === name) return;
  }
  throw new Error(`no Tab led to "${name}"`);
}
