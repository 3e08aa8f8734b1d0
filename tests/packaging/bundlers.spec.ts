/** Pages that bundlers build: with and without threads, at the root and below a path, under a strict policy. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from './support/consumers.ts';
import { build, consumerFolder, installed, run, startServer } from './support/installed.ts';

test.describe('Vite', () => {
  test('at the root', async ({ answers }) => {
    await build('vite');
    const from = join(consumerFolder('vite'), 'dist');
    await answers({ from });
    await answers({ from, isolated: true, strict: true });
  });

  test('below a path, which Vite wants to know', async ({ answers }) => {
    await build('vite', 'build', ['--base=./']);
    await answers({ from: join(consumerFolder('vite'), 'dist'), path: '/some/path/', isolated: true });
  });

  test('its development server', async ({ answers }) => {
    const server = await startServer('vite', 'vite/bin/vite.js', ['--host', '127.0.0.1']);
    try {
      await answers({ from: server.port });
      await answers({ from: server.port, isolated: true });
    } finally {
      server.stop();
    }
  });

  test('its version 7, whose workers cannot be split', async ({ answers }) => {
    await run(consumerFolder('vite'), process.execPath, [join(installed, 'node_modules/vite-7/bin/vite.js'), 'build', '--outDir', 'dist-7']);
    await answers({ from: join(consumerFolder('vite'), 'dist-7'), isolated: true, strict: true });
  });
});

for (const bundler of ['webpack', 'esbuild']) {
  test(bundler, async ({ answers }) => {
    await build(bundler);
    const from = consumerFolder(bundler);
    await answers({ from });
    await answers({ from, path: '/some/path/', isolated: true, strict: true });
  });
}

test('Next.js renders the page on its server, and the browser answers', async ({ answers }) => {
  await build('next');
  const server = await startServer('next', 'next/dist/bin/next', ['start']);
  try {
    const rendered = await (await fetch(`http://127.0.0.1:${server.port}/`)).text();
    expect(rendered).toContain('<output></output>');
    await answers({ from: server.port });
    await answers({ from: server.port, isolated: true });
  } finally {
    server.stop();
  }
});

test('what a page does not use of the package is not in its bundle', async () => {
  const folder = join(installed, 'consumers/unused');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'main.js'), "import { Frontdesk } from 'frontdesk';\nconsole.log('nothing of it');\n");
  const { stdout } = await run(folder, 'esbuild', ['main.js', '--bundle', '--format=esm', '--minify']);
  expect(stdout.trim()).toBe('console.log("nothing of it");');
  await run(folder, 'webpack', ['--mode', 'production', '--entry', './main.js']);
  expect(await readFile(join(folder, 'dist/main.js'), 'utf8')).toMatch(/^.{0,40}console\.log\("nothing of it"\).{0,10}$/);
  expect(await readdir(join(folder, 'dist'))).toEqual(['main.js']);
});
