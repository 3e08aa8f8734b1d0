/** What is in the packed package and what is not, and whether its types are found. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { consumerFolder, installed, packageFolder, run } from './support/installed.ts';

const MOST_PACKED_BYTES = 6e6;
const repository = fileURLToPath(new URL('../../', import.meta.url));

const EXPECTED = [
  /^(package\.json|README\.md|LICENSE-APACHE|LICENSE-MIT)$/,
  /^dist\/third_party_licences\.txt$/,
  /^dist\/(\w+\/)?\w+\.(js|js\.map|d\.ts)$/,
  /^dist\/wasm\/(simd|relaxed)(-threads)?\/frontdesk(\.js|_bg\.wasm)$/,
];

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: unknown;
  readonly sideEffects: unknown;
}

interface SourceMap {
  readonly sources: readonly string[];
  readonly sourcesContent: readonly unknown[];
}

async function packed(): Promise<string[]> {
  const entries = await readdir(packageFolder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(packageFolder.length + 1));
}

test('it has the files that it should, and no others', async () => {
  const files = await packed();
  expect(files.filter((file) => !EXPECTED.some((pattern) => pattern.test(file)))).toEqual([]);
  for (const file of ['README.md', 'LICENSE-APACHE', 'LICENSE-MIT', 'dist/index.js', 'dist/index.d.ts', 'dist/worker.js', 'dist/thread_worker.js']) expect(files).toContain(file);
  expect(files.filter((file) => file.endsWith('.wasm'))).toHaveLength(4);
});

test('it is of a bearable size', async () => {
  const [tarball] = (await readdir(installed)).filter((file) => file.endsWith('.tgz'));
  const { size } = await stat(join(installed, tarball ?? ''));
  const files = await packed();
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(packageFolder, file))).size));
  const unpacked = sizes.reduce((sum, bytes) => sum + bytes, 0);
  console.log(`frontdesk: ${(size / 1e6).toFixed(2)} MB packed, ${(unpacked / 1e6).toFixed(2)} MB unpacked, ${files.length} files`);
  expect(size).toBeLessThan(MOST_PACKED_BYTES);
});

test('it installs nothing else and runs nothing when it is installed', async () => {
  const manifest = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as Manifest;
  expect(manifest.dependencies).toBeUndefined();
  expect(manifest.sideEffects).toBe(false);
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) expect(manifest.scripts ?? {}).not.toHaveProperty(script);
});

test('it has the licences of what is bundled and compiled into it', async () => {
  const text = await readFile(join(packageFolder, 'dist/third_party_licences.txt'), 'utf8');
  // One of each: a package in the bundles, a crate in the modules.
  for (const name of ['eventsource-parser', 'tokenizers 0.']) expect(text).toContain(name);
  for (const phrase of ['Permission is hereby granted', 'Apache License']) expect(text).toContain(phrase);
});

test('each script has a map with its sources', async () => {
  const scripts = (await packed()).filter((file) => file.endsWith('.js') && !file.includes('/wasm/'));
  for (const script of scripts) {
    const map = JSON.parse(await readFile(join(packageFolder, `${script}.map`), 'utf8')) as SourceMap;
    expect(map.sources.length, script).toBeGreaterThan(0);
    expect(map.sourcesContent.filter((source) => typeof source === 'string' && source !== '')).toHaveLength(map.sources.length);
    expect(await readFile(join(packageFolder, script), 'utf8')).toContain('//# sourceMappingURL=');
  }
});

test('nothing in it tells where it was built', async () => {
  const folders = [repository, `${homedir()}/`].filter((folder) => folder.length > 2);
  const telling = [];
  for (const file of await packed()) {
    const text = await readFile(join(packageFolder, file), 'latin1');
    if (folders.some((folder) => text.includes(folder))) telling.push(file);
  }
  expect(telling).toEqual([]);
});

for (const [module, resolution] of [['esnext', 'bundler'], ['nodenext', 'nodenext']] as const) {
  test(`its types are found with the resolution of ${resolution}`, async () => {
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom,dom.iterable'];
    await run(consumerFolder('types'), 'tsc', [...options, '--module', module, '--moduleResolution', resolution, 'main.ts']);
  });
}

test('publint has no objections', async () => {
  await run(installed, 'publint', ['run', packageFolder, '--strict']);
});

test('are-the-types-wrong has no objections', async () => {
  const [tarball] = (await readdir(installed)).filter((file) => file.endsWith('.tgz'));
  // The others are files that are fetched, and have no types.
  await run(installed, 'attw', [tarball ?? '', '--profile', 'esm-only', '--exclude-entrypoints', './worker.js', './thread_worker.js', './wasm/*']);
});
