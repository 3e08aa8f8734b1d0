/** Every example of the documentation does what it says, and every path that it names is there. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BrowserContext, expect, test } from '@playwright/test';
import { type Site, startSite } from '../browser/servers/site.ts';
import { anchorsIn, examplesOf, linksIn, pathsIn } from './support/blocks.ts';
import { standInForHub } from './support/hub.ts';
import { documentationPages, repository } from './support/pages.ts';
import { complaintsOf, prepareSite } from './support/running.ts';
import { typeComplaints } from './support/types.ts';

const pages = await documentationPages();
const found = pages.map(({ file, text }) => ({ file, ...examplesOf(file, text) }));

function textOf(file: string): Promise<string> {
  return readFile(join(repository, file), 'utf8');
}

let site: Site;
test.beforeAll(async () => {
  site = await startSite({ isolated: false });
  prepareSite(site);
  site.scripts.set('/tickets.json', await textOf('docs/public/tickets.json'));
});
test.afterAll(async () => {
  await site.close();
});

test('their types are right', async () => {
  expect(await typeComplaints(found.flatMap(({ examples }) => examples), 'docs-examples')).toEqual([]);
});

test('paths of the repository that pages name are there', () => {
  const absent = pages.flatMap(({ file, text }) => pathsIn(text).filter((path) => !existsSync(join(repository, path))).map((path) => `${file}: ${path}`));
  expect(absent).toEqual([]);
});

// The site's build looks for pages; anchors, pictures and the readmes it does not know.
test('links lead somewhere', async () => {
  const broken: string[] = [];
  for (const { file, text } of pages) {
    for (const link of linksIn(text)) {
      const [path = '', anchor] = link.split('#');
      const target = path.startsWith('/') ? join('docs/public', path) : path === '' ? file : join(dirname(file), path);
      const isThere = existsSync(join(repository, target));
      if (!isThere || (anchor !== undefined && !anchorsIn(await textOf(target)).includes(anchor))) broken.push(`${file}: ${link}`);
    }
  }
  expect(broken).toEqual([]);
});

test('the page on errors names every code', async () => {
  const codes = [...(await textOf('www/sdk/src/errors.ts')).matchAll(/errorOfCode\('(\w+)'\)/g)].map(([, code]) => code ?? '');
  const page = await textOf('docs/errors.md');
  expect(codes.length).toBeGreaterThan(0);
  expect(codes.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
});

test('few are not run, and each says why', () => {
  const fragments = found.flatMap((page) => page.fragments);
  for (const { file, line, reason } of fragments) console.log(`not run: ${file}:${line}: ${reason}`);
  const run = found.flatMap(({ examples }) => examples);
  console.log(`${run.length} examples are run, ${fragments.length} fragments are not`);
  expect(fragments.length).toBeLessThan(run.length / 4);
});

for (const { file, examples } of found) {
  if (examples.length === 0) continue;
  test.describe(file, () => {
    // One browser profile a page: what the first example fetches, the others find on the device, as a reader does.
    let context: BrowserContext;
    test.beforeAll(async ({ browser }) => {
      context = await browser.newContext();
      await standInForHub(context);
    });
    test.afterAll(async () => {
      await context.close();
    });
    for (const example of examples) {
      test(`line ${example.line}`, async () => {
        expect(await complaintsOf(context, site, example)).toEqual([]);
      });
    }
  });
}
