/** Pages without a bundler: the package's own files, as a web server finds them. */
import { expect, test } from './support/consumers.ts';
import { consumerFolder } from './support/installed.ts';

test('an import map is enough', async ({ answers }) => {
  await answers({ from: consumerFolder('import-map') });
});

test('an import map, below a path and with threads', async ({ answers }) => {
  await answers({ from: consumerFolder('import-map'), path: '/some/path/', isolated: true });
});

for (const isolated of [false, true]) {
  test(`a strict Content-Security-Policy refuses nothing, ${isolated ? 'with' : 'without'} threads`, async ({ answers }) => {
    const { page, site } = await answers({ from: consumerFolder('csp'), strict: true, isolated });
    // The policy was in force, and what it refuses is told of.
    await page.evaluate(() => {
      document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.ran = true' }));
    });
    await expect.poll(() => site.refused.join()).toContain('script-src');
  });
}
