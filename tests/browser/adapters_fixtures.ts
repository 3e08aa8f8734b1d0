/** What the tests of the adapters share: a page with a desk, the real clients and the adapters. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Page } from '@playwright/test';
import type * as esbuild from 'esbuild';
import { test as base } from './fixtures.ts';
import type { Site } from './servers/site.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const fromPackages = createRequire(fileURLToPath(new URL('../../www/package.json', import.meta.url)));
const SCRIPT = '/adapters.js';

/** A text in several scripts, some of whose characters take two code units. */
export const WORLDLY = 'Zürich 你好世界 🙂🚀 naïve';
/** More than any context holds. */
export const MEGABYTE = 'far too long '.repeat(Math.ceil(2 ** 20 / 13));

export const test = base.extend<object, { readonly adaptersSite: Site }>({
  adaptersSite: [
    async ({ site }, use) => {
      site.scripts.set(SCRIPT, await bundle());
      await use(site);
    },
    { scope: 'worker' },
  ],
  desk: async ({ desk, adaptersSite }, use) => {
    await addAdapters(desk.page);
    desk.requests.length = 0;
    adaptersSite.log.length = 0;
    await use(desk);
  },
});

export { expect } from './fixtures.ts';

/** Puts `window.adapters` on a page of `adaptersSite`, unless it is there. */
export async function addAdapters(page: Page): Promise<void> {
  if (await page.evaluate(() => 'adapters' in window)) return;
  await page.addScriptTag({ url: SCRIPT, type: 'module' });
  await page.waitForFunction(() => 'adapters' in window);
}

/** The SDK stays what the site serves: entry points are looked up in the package's own list of them. */
async function bundle(): Promise<string> {
  const { build } = fromPackages('esbuild') as typeof esbuild;
  const { exports } = fromPackages('./sdk/package.json') as { exports: Record<string, { default: string }> };
  const { outputFiles } = await build({
    entryPoints: [`${here}pages/adapters.ts`],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    nodePaths: [`${here}../../www/node_modules`],
    plugins: [
      {
        name: 'sdk-of-the-site',
        setup(builder) {
          builder.onResolve({ filter: /^frontdesk\// }, ({ path }) => {
            const file = exports[path.replace('frontdesk', '.')]?.default;
            return file === undefined ? null : { path: file.replace('./dist', '/sdk'), external: true };
          });
        },
      },
    ],
  });
  return outputFiles[0]?.text ?? '';
}
