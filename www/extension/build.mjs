// Builds the extension's pages and scripts into a folder, dist/ by default, without the models; pack.mjs adds those.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { makeManifest } from './manifest.mjs';

const here = fileURLToPath(new URL('./', import.meta.url));
const sdk = dirname(fileURLToPath(import.meta.resolve('frontdesk')));

/** Addresses that are names of things and are never fetched. */
const NAMES = ['http://www.w3.org/'];

// The SDK stays a folder of its own, so that its worker and wasm files lie where it looks for them.
const keepSdkBeside = {
  name: 'keep-sdk-beside',
  setup(builder) {
    builder.onResolve({ filter: /^frontdesk$/ }, () => ({ path: './frontdesk/index.js', external: true }));
  },
};

/** `address`: the one back office of this build. */
export async function buildExtension({ into = join(here, 'dist'), address, withKey = true } = {}) {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  const common = {
    absWorkingDir: here,
    outdir: into,
    bundle: true,
    target: ['chrome120'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { FRONTDESK_BACK_OFFICE: JSON.stringify(address ?? '') },
    plugins: [keepSdkBeside],
  };
  const modules = { background: 'src/background.ts', panel: 'src/panel/main.tsx', options: 'src/options/main.tsx', offscreen: 'src/engine/offscreen.ts', guard: 'src/shared/guard.ts' };
  const styles = { 'panel-style': 'styles/panel.css', 'options-style': 'styles/options.css' };
  await build({ ...common, entryPoints: { ...modules, ...styles }, format: 'esm' });
  // No module: it has to run before the parser goes on.
  await build({ ...common, entryPoints: { narrow: 'src/engine/narrow.ts' }, format: 'iife' });
  for (const folder of ['pages', 'icons']) await cp(join(here, folder), folder === 'pages' ? into : join(into, folder), { recursive: true, filter: isShipped });
  await copySdk(join(into, 'frontdesk'));
  await copyLicences(into);
  const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));
  await writeFile(join(into, 'manifest.json'), `${JSON.stringify(makeManifest({ version, address, withKey }), null, 2)}\n`);
  await refuseRemoteAddresses(into, address);
  return into;
}

function isShipped(path) {
  return !['.svg', '.mjs'].includes(extname(path));
}

/** Imports are evaluated in their order, so that the guard is there before the worker's own code. */
const GUARDED = new Map(['worker.js', 'thread_worker.js'].map((name) => [name, "import '../guard.js';\n"]));

/** Without declarations, maps and adapters, and without the addresses that models are fetched from elsewhere: here they are bundled. */
async function copySdk(into) {
  for (const name of await readdir(sdk, { recursive: true })) {
    if (!/\.(?:js|wasm|txt)$/.test(name) || name.startsWith('adapters')) continue;
    await mkdir(dirname(join(into, name)), { recursive: true });
    if (!name.endsWith('.js')) {
      await cp(join(sdk, name), join(into, name));
      continue;
    }
    const code = await readFile(join(sdk, name), 'utf8');
    await writeFile(join(into, name), (GUARDED.get(name) ?? '') + code.replaceAll(/,url:"https:\/\/[^"]+\.gguf"/g, '').replaceAll(/\n?\/\/# sourceMappingURL=\S+/g, ''));
  }
}

/** Ours, and those of the packages whose code is in the bundles; the SDK brings those of its own. */
async function copyLicences(into) {
  for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) await cp(join(here, '../..', name), join(into, name));
  const texts = await Promise.all(
    ['preact', 'valibot'].map(async (name) => {
      const folder = join(here, '../node_modules', name);
      const [file] = (await readdir(folder)).filter((entry) => /^licen[sc]e/i.test(entry));
      return `${name}\n\n${await readFile(join(folder, file), 'utf8')}`;
    }),
  );
  await writeFile(join(into, 'third_party_licences.txt'), texts.join('\n\n'));
}

/** The extension fetches nothing from anywhere, so nothing in it needs to name a host. */
async function refuseRemoteAddresses(folder, address) {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!['.js', '.html', '.css'].includes(extname(name))) continue;
    const text = await readFile(join(folder, name), 'utf8');
    const found = (text.match(/\bhttps?:\/\/[\w.-]+\.[a-z]{2,}[^\s"'`)]*/g) ?? []).filter((url) => url !== address && !isExample(url) && !NAMES.some((start) => url.startsWith(start)));
    if (found.length > 0) throw new Error(`${name} names ${found.join(', ')}`);
  }
}

/** Of a host that can never exist. */
function isExample(url) {
  return new URL(url).hostname.endsWith('.example');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const into = await buildExtension();
  console.log(`extension: without models, in ${relative(process.cwd(), into)}`);
}
