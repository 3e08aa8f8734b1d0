// Builds the demo page into dist/ and refuses a page that outgrew its weight.
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const MAX_GZIP_BYTES = 100 * 1000;
const here = fileURLToPath(new URL('./', import.meta.url));
const dist = join(here, 'dist');
const sdk = dirname(fileURLToPath(import.meta.resolve('frontdesk')));

// The SDK stays a folder of its own, so that its worker and wasm files lie where it looks for them.
const keepSdkBeside = {
  name: 'keep-sdk-beside',
  setup(builder) {
    builder.onResolve({ filter: /^frontdesk$/ }, () => ({ path: './frontdesk/index.js', external: true }));
  },
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx', page: 'styles/page.css' },
  outdir: dist,
  bundle: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  minify: true,
  sourcemap: true,
  legalComments: 'linked',
  logLevel: 'warning',
  plugins: [keepSdkBeside],
});
await cp(join(here, 'index.html'), join(dist, 'index.html'));
await cp(sdk, join(dist, 'frontdesk'), { recursive: true, filter: isOfThePage });

const weight = await pageWeight();
console.log(`demo: ${(weight / 1000).toFixed(1)} kB gzip without the engine, in ${dist}`);
if (weight > MAX_GZIP_BYTES) {
  console.error(`demo: the page may weigh at most ${MAX_GZIP_BYTES / 1000} kB gzip.`);
  process.exit(1);
}

/** The page uses no adapter, and nothing reads declarations. */
function isOfThePage(source) {
  return !source.endsWith('.d.ts') && !source.endsWith('.tsbuildinfo') && basename(source) !== 'adapters';
}

/** Everything a first visit loads before the engine, compressed. */
async function pageWeight() {
  const files = await readdir(dist, { recursive: true });
  const counted = files.filter((name) => ['.html', '.js', '.css'].includes(extname(name)) && !name.includes(`wasm`));
  const sizes = await Promise.all(counted.map(async (name) => gzipSync(await readFile(join(dist, name))).length));
  return sizes.reduce((sum, size) => sum + size, 0);
}
