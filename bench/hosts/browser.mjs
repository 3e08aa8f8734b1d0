// Chromium and its pages: each engine of the web runs in a page of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { withLimit } from './limit.mjs';

export const EXECUTABLE = process.env.FRONTDESK_CHROMIUM ?? '/usr/bin/chromium';
const LAUNCH = {
  executablePath: EXECUTABLE,
  // Root, as in containers, has no sandbox; the rest keeps the browser from work of its own.
  args: [
    '--no-sandbox',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
};
const CLOSE_LIMIT_MS = 10_000;

/** A browser whose pages share nothing; `args` are further flags of its command line. */
export async function launch({ args = [] } = {}) {
  const browser = await chromium.launch({ ...LAUNCH, args: [...LAUNCH.args, ...args] });
  return { browser, close: () => quietly(browser.close()) };
}

/** A browser context that keeps storage and caches from page to page, in a folder that `close` removes. */
export async function launchKeeping() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'frontdesk-bench-'));
  const context = await chromium.launchPersistentContext(folder, LAUNCH);
  const close = async () => {
    await quietly(context.close());
    rmSync(folder, { recursive: true, force: true });
  };
  return { context, close };
}

/**
 * Opens the page of one engine; `from` is a browser or a context, `module` the engine's file name, `before`
 * a script that runs first.
 * @returns a host: `call(method, options, { ms })` runs an exported function of the engine there, or of
 *   another module of its folder where `of` names one.
 */
export async function openPage(from, { url, module, before }) {
  const page = await from.newPage();
  page.setDefaultTimeout(0);
  if (before) await page.addInitScript({ content: before });
  // Errors of workers do not reach the caller otherwise.
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(url, { timeout: 30_000 });
  const call = (method, options, { ms, of = module }) => {
    const inPage = page.evaluate(
      async ([file, name, given]) => (await import(`/engines/${file}`))[name](given),
      [of, method, options],
    );
    return withLimit(inPage, { ms, what: method }).catch((error) => {
      throw new Error([error.message.replace(/^page\.evaluate: /, ''), ...errors.splice(0)].join('; '), {
        cause: error,
      });
    });
  };
  const close = () => quietly(page.close());
  return { call, close };
}

/** What hangs may not close either; the end of this process then ends it. */
async function quietly(closing) {
  await withLimit(closing, { ms: CLOSE_LIMIT_MS, what: 'closing' }).catch(() => undefined);
}
