// Looks through the built site and the SDK's reference for links to files that are not there: pages, pictures, references beside the site.
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const site = fileURLToPath(new URL('../target/docs/', import.meta.url));
const base = process.env.FRONTDESK_DOCS_BASE ?? '/';
const LINK = /\s(?:href|src)="([^"]+)"/g;

const pages = (await readdir(site, { recursive: true })).filter((file) => file.endsWith('.html') && !file.startsWith('rust/'));
const broken = [];
let count = 0;
for (const page of pages) {
  // What scripts and code show is no link.
  const html = (await readFile(join(site, page), 'utf8')).replaceAll(/<(script|code|pre)\b.*?<\/\1>/gs, '');
  for (const [, link] of html.matchAll(LINK)) {
    if (/^(?:[a-z]+:|#|\/\/)/.test(link)) continue;
    count += 1;
    const path = decodeURI(link.replaceAll('&amp;', '&').replace(/[?#].*$/, ''));
    if (!isThere(path.startsWith(base) ? join(site, path.slice(base.length)) : join(site, dirname(page), path))) broken.push(`${page}: ${link}`);
  }
}
for (const line of broken) console.error(`a link leads nowhere: ${line}`);
console.log(`${count} links of ${pages.length} pages, ${broken.length} lead nowhere (in ${relative(process.cwd(), site) || site})`);
process.exitCode = broken.length > 0 ? 1 : 0;

function isThere(path) {
  if (!existsSync(path)) return existsSync(`${path}.html`);
  return statSync(path).isFile() || existsSync(join(path, 'index.html'));
}
