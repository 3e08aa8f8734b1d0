// Builds the page into a folder: all files of a version lie in a folder of its own, so that old and new ones cannot mix.
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { contentSecurityPolicy, ISOLATION_HEADERS } from './policy.mjs';

const here = fileURLToPath(new URL('../', import.meta.url));
const sdk = dirname(fileURLToPath(import.meta.resolve('frontdesk')));
const kept = new Set(['.js', '.css', '.wasm', '.svg', '.png', '.json', '.html']);

const WORKER = { entryPoints: { sw: 'service_worker/service_worker.ts' }, sourcemap: false };

/** The SDK stays a folder of its own, so that its worker and wasm files lie where it looks for them. */
const keepSdkBeside = {
  name: 'keep-sdk-beside',
  setup(builder) {
    builder.onResolve({ filter: /^frontdesk$/ }, () => ({ path: './frontdesk/index.js', external: true }));
  },
};

/**
 * `isolation`: who makes the page cross-origin isolated, the `server`, the `service_worker` or `none`. `headers` are added by the
 * service worker to all that it answers; `policy` is written into the page. Returns the weights in bytes of gzip.
 */
export async function buildSite({ folder, isolation, headers = {}, policy }) {
  await mkdir(folder, { recursive: true });
  const unnamed = join(folder, 'v-unnamed');
  await rm(unnamed, { recursive: true, force: true });
  const { metafile } = await bundle({
    entryPoints: { app: 'src/main.tsx', page: 'styles/page.css' },
    outdir: unnamed,
    splitting: true,
    metafile: true,
    chunkNames: '[name]-[hash]',
    define: { ISOLATION: JSON.stringify(isolation) },
    plugins: [keepSdkBeside],
  });
  await cp(sdk, join(unnamed, 'frontdesk'), { recursive: true, filter: isOfThePage });
  await cp(join(here, 'icons'), join(folder, 'icons'), { recursive: true });
  await cp(join(here, 'app_manifest.json'), join(folder, 'manifest.json'));

  const template = await readFile(join(here, 'index.html'), 'utf8');
  // As it will run, packages and all, but for the facts that hold the version itself.
  const { outputFiles } = await bundle({ ...WORKER, outdir: folder, write: false });
  const worker = outputFiles.find(({ path }) => path.endsWith('.js')).contents;
  // Kept answers have the host's headers of that day: the demo server's come from the same policy.
  const served = { ...ISOLATION_HEADERS, 'Content-Security-Policy': contentSecurityPolicy() };
  const parts = [JSON.stringify({ files: await hashes(folder), headers, policy, served }), template, worker];
  const version = `v-${parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex').slice(0, 12)}`;
  await rename(unnamed, join(folder, version));
  await writeFile(join(folder, 'index.html'), pageOf(template, { version, policy }));

  const { 'index.html': page, ...files } = await hashes(folder);
  await bundle({
    ...WORKER,
    outdir: folder,
    define: { SITE: JSON.stringify({ version, headers, files: { '': page, ...files } }) },
  });
  const first = firstFiles(metafile, unnamed);
  const weigh = async (paths) => (await Promise.all(paths.map(async (path) => gzipSync(await readFile(join(folder, path))).length))).reduce((sum, size) => sum + size, 0);
  return {
    version,
    page: await weigh(['index.html', ...[...first, 'frontdesk/index.js', 'frontdesk/worker.js', 'frontdesk/thread_worker.js'].map((name) => join(version, name))]),
    later: await weigh(['sw.js', ...Object.keys(metafile.outputs).map((path) => basename(path)).filter((name) => name.endsWith('.js') && !first.includes(name)).map((name) => join(version, name))]),
  };
}

function bundle(options) {
  return build({
    absWorkingDir: here,
    bundle: true,
    format: 'esm',
    target: ['es2022'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    sourcemap: true,
    legalComments: 'linked',
    logLevel: 'warning',
    ...options,
  });
}

/** The page uses no adapter, and nothing reads declarations. */
function isOfThePage(source) {
  return !source.endsWith('.d.ts') && !source.endsWith('.tsbuildinfo') && basename(source) !== 'adapters';
}

/** Of each file that a service worker may keep, by its path with slashes. */
async function hashes(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile() && kept.has(extname(entry.name))).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
  const pairs = paths
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path !== 'sw.js')
    .sort()
    .map(async (path) => [path, createHash('sha256').update(await readFile(join(folder, path))).digest('base64')]);
  return Object.fromEntries(await Promise.all(pairs));
}

function pageOf(template, { version, policy }) {
  const meta = policy === undefined ? '' : `<meta http-equiv="Content-Security-Policy" content="${policy}">\n    `;
  return template.replaceAll('./v/', `./${version}/`).replace('<meta name="viewport"', `${meta}<meta name="viewport"`);
}

/** What a visit loads before anything is asked of it: the entries and what they import at once. */
function firstFiles({ outputs }, folder) {
  const names = new Set();
  const add = (path) => {
    if (names.has(basename(path))) return;
    names.add(basename(path));
    for (const { path: next, kind, external } of outputs[path]?.imports ?? []) if (kind === 'import-statement' && !external) add(next);
  };
  for (const path of Object.keys(outputs)) if (['app.js', 'page.css'].includes(relative(folder, join(here, path)))) add(path);
  return [...names];
}
