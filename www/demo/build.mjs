// Builds the page for the demo server into dist/ and refuses a page that outgrew its weight.
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { buildSite } from './building/site.mjs';

const MAX_GZIP_BYTES = 100 * 1000;
const dist = fileURLToPath(new URL('./dist/', import.meta.url));

await rm(dist, { recursive: true, force: true });
const { page, later } = await buildSite({ folder: dist, isolation: 'server' });
console.log(`demo: ${(page / 1000).toFixed(1)} kB gzip without the engine, ${(later / 1000).toFixed(1)} kB more when tabs open and for the next visit, in ${dist}`);
if (page > MAX_GZIP_BYTES) {
  console.error(`demo: the page may weigh at most ${MAX_GZIP_BYTES / 1000} kB gzip.`);
  process.exit(1);
}
