/** Outside of browsers: importing the package does nothing, and a desk says what is missing. */
import { expect, test } from '@playwright/test';
import { consumerFolder, run } from './support/installed.ts';

for (const file of ['import.js', 'require.cjs']) {
  test(`Node, ${file}: the error has a code`, async () => {
    const { stdout } = await run(consumerFolder('node'), process.execPath, [file]);
    expect(stdout).toBe('unsupported_browser\n');
  });
}

test('importing the package adds no global, prints nothing and keeps no process alive', async () => {
  const program = `
    const before = Reflect.ownKeys(globalThis).length;
    await import('frontdesk');
    process.exitCode = Reflect.ownKeys(globalThis).length - before;`;
  expect(await run(consumerFolder('node'), process.execPath, ['--input-type=module', '--eval', program])).toEqual({ stdout: '', stderr: '' });
});
