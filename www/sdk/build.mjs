// Bundles the SDK into dist/: index.js, worker.js, thread_worker.js, the adapters, the type declarations and the WebAssembly modules.
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';

const here = fileURLToPath(new URL('./', import.meta.url));
const dist = join(here, 'dist');
const wasm = join(here, 'wasm');
const manifestFile = join(here, '../../models/manifest.json');
const variants = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'];
const adapters = ['openai_fetch', 'ai_sdk', 'prompt_api'];
const glueFiles = ['frontdesk.js', 'frontdesk_bg.wasm'];

/** Only what the page needs of the manifest goes into the bundle. */
const modelManifest = {
  name: 'model-manifest',
  setup(builder) {
    builder.onResolve({ filter: /^frontdesk:models$/ }, ({ path }) => ({ path, namespace: 'models' }));
    builder.onLoad({ filter: /.*/, namespace: 'models' }, async () => {
      const { models } = JSON.parse(await readFile(manifestFile, 'utf8'));
      return { contents: JSON.stringify(models.map(forThePage)), loader: 'json', watchFiles: [manifestFile] };
    });
  },
};

/** Adapters use the package beside them instead of holding a copy of it. */
const adaptersUseThePackage = {
  name: 'adapters-use-the-package',
  setup(builder) {
    builder.onResolve({ filter: /^\.\.\/(?:index|errors)\.js$/ }, ({ importer }) => {
      return basename(dirname(importer)) === 'adapters' ? { path: '../index.js', external: true, sideEffects: false } : undefined;
    });
  },
};

const { version } = JSON.parse(await readFile(join(here, 'package.json'), 'utf8'));

await rm(dist, { recursive: true, force: true });
const pageSide = await bundle(['src/index.ts', ...adapters.map((name) => `src/adapters/${name}.ts`)], { minifyWhitespace: true });
// With the whitespace go comments, and with them those that tell bundlers to leave an import as it is.
const workerSide = await bundle(['src/worker.ts', 'src/thread_worker.ts'], { minifyWhitespace: false });
execFileSync(process.execPath, [createRequire(import.meta.url).resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: here,
  stdio: 'inherit',
});
await copyWasm();
await writeLicences({ ...pageSide, ...workerSide });
for (const licence of ['LICENSE-APACHE', 'LICENSE-MIT']) await cp(join(here, '../..', licence), join(here, licence));

/** Returns what went into the bundles. */
async function bundle(entryPoints, options) {
  const { metafile } = await build({
    absWorkingDir: here,
    entryPoints,
    outdir: dist,
    bundle: true,
    format: 'esm',
    define: { FRONTDESK_VERSION: JSON.stringify(version) },
    target: ['es2022'],
    sourcemap: true,
    metafile: true,
    minifySyntax: true,
    legalComments: 'inline',
    logLevel: 'warning',
    plugins: [modelManifest, adaptersUseThePackage],
    ...options,
  });
  return metafile.inputs;
}

function forThePage({ id, bytes, sha256, chunks, file, use, sources }) {
  const url = sources.find(({ kind }) => kind === 'url')?.url;
  return { id, bytes, sha256, chunks, file, use, ...(url && { url }) };
}

async function copyWasm() {
  for (const variant of variants) {
    await mkdir(join(dist, 'wasm', variant), { recursive: true });
    for (const file of glueFiles) {
      const from = join(wasm, variant, file);
      if (!(await stat(from).catch(() => undefined))) {
        complain(from);
        continue;
      }
      const to = join(dist, 'wasm', variant, file);
      await (file.endsWith('.js') ? copyMinified(from, to) : cp(from, to));
    }
  }
}

function complain(missing) {
  console.warn(`sdk: ${missing} is missing; build the WebAssembly modules first (./build.sh build)`);
  process.exitCode = process.env.FRONTDESK_ALLOW_NO_WASM ? 0 : 1;
}

/** Bundlers copy the glue as it is. */
async function copyMinified(from, to) {
  const { code } = await transform(await readFile(from, 'utf8'), { format: 'esm', minifySyntax: true, minifyWhitespace: true });
  await writeFile(to, code);
}

/** The bundles and the modules contain other people's code; their licences travel with it. */
async function writeLicences(inputs) {
  const folders = new Set(Object.keys(inputs).flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []));
  const texts = await Promise.all(
    [...folders].sort().map(async (folder) => `${basename(folder)}\n\n${await readFile(join(here, folder, 'LICENSE'), 'utf8')}`),
  );
  const ofCrates = await readFile(join(wasm, 'licences.txt'), 'utf8').catch(() => undefined);
  if (ofCrates === undefined) complain(join(wasm, 'licences.txt'));
  await writeFile(join(dist, 'third_party_licences.txt'), [...texts, ofCrates ?? ''].join('\n\n'));
}
