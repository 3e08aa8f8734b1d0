// Builds the page as a complete static site that works on any host, below any path: page, SDK, models and settings.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contentSecurityPolicy, ISOLATION_HEADERS } from './building/policy.mjs';
import { buildSite } from './building/site.mjs';

const HELP = `Usage: node static.mjs DIR [--backend URL] [--no-isolation]

  DIR              folder for the site: new, empty, or made by an earlier run
  --backend URL    chat-completions address of your back office; without it nothing can leave
  --no-isolation   no COOP and COEP by the service worker, for hosts where that is not wanted (one thread)

Environment:
  FRONTDESK_CACHE  folder that holds models/ (default ~/.cache/frontdesk)`;

/** Names the files that a run has written, so that the next one removes those and no others. */
const MARKER = '.frontdesk-site';
const MODELS = { model: 'smollm2-135m-instruct', reflex: 'minilm-l6' };

const { folder, backend, isolation } = readOptions();
const before = await earlierFiles();
const connect = backend ? [backend.origin] : [];
const headers = { 'Content-Security-Policy': contentSecurityPolicy({ connect }), ...(isolation && { ...ISOLATION_HEADERS, 'Cross-Origin-Resource-Policy': 'same-origin' }) };
// Built elsewhere first, so that a failure leaves the site as it was.
const made = await mkdtemp(join(tmpdir(), 'frontdesk-static-'));
try {
  const policy = contentSecurityPolicy({ connect, framing: false });
  const { version } = await buildSite({ folder: made, isolation: isolation ? 'service_worker' : 'none', headers, policy });
  await writeFile(join(made, 'config.json'), JSON.stringify(await settings(), undefined, 2));
  await replace(version);
} finally {
  await rm(made, { recursive: true, force: true });
}

/** As the demo server would answer. */
async function settings() {
  const { models } = JSON.parse(await readFile(fileURLToPath(new URL('../../models/manifest.json', import.meta.url)), 'utf8'));
  await mkdir(join(made, 'models'));
  const facts = async (id) => {
    const { file, bytes } = models.find((entry) => entry.id === id);
    const path = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models', file);
    const found = await stat(path).catch(() => undefined);
    if (found?.size !== bytes) stop(`${path} ${found ? `has ${found.size} bytes instead of ${bytes}` : 'is missing'}. models/fetch.py ${id} fetches it.`);
    await cp(path, join(made, 'models', file));
    return { id, bytes };
  };
  return {
    upstream: backend !== undefined,
    ...(backend && { upstreamHost: backend.hostname, upstreamUrl: backend.href }),
    model: await facts(MODELS.model),
    reflex: await facts(MODELS.reflex),
  };
}

/** The page comes last: until then visitors get the one before, whole. */
async function replace(version) {
  const now = await filesIn(made);
  const last = (path) => ['index.html', 'sw.js'].indexOf(path);
  const inOrder = now.toSorted((a, b) => last(a) - last(b));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, MARKER), `${[...new Set([...before, ...now])].join('\n')}\n`);
  for (const path of inOrder) await cp(join(made, path), join(folder, path));
  const written = new Set(now);
  for (const path of before) if (!written.has(path)) await removeFile(path);
  await writeFile(join(folder, MARKER), `${now.join('\n')}\n`);
  const bytes = (await Promise.all(now.map(async (path) => (await stat(join(folder, path))).size))).reduce((sum, size) => sum + size, 0);
  console.log(`${now.length} files, ${(bytes / 1e6).toFixed(0)} MB, version ${version}, in ${folder}`);
  console.log(`  back office: ${backend ? backend.href : 'none'}`);
  console.log(`  threads: ${isolation ? 'from the second opening on, by the service worker, or at once where the host sends COOP and COEP' : 'one, unless the host sends COOP and COEP'}`);
}

/** What an earlier run has written; stops where the folder is somebody else's. */
async function earlierFiles() {
  const found = await stat(folder).catch(() => undefined);
  if (found === undefined) return [];
  if (!found.isDirectory()) return stop(`${folder} is no folder.`);
  const names = await readdir(folder);
  if (names.length === 0) return [];
  if (!names.includes(MARKER)) return stop(`${folder} is not empty and was not made by this program, so nothing in it was touched. Name another folder, or empty it yourself.`);
  return (await readFile(join(folder, MARKER), 'utf8')).split('\n').filter((path) => path !== '' && isInside(path));
}

function isInside(path) {
  return resolve(folder, path).startsWith(folder + sep);
}

async function removeFile(path) {
  await rm(join(folder, path), { force: true });
  // Folders that are empty now go too; what others have put there stays.
  for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
    if (!(await rmdir(join(folder, parent)).then(() => true, () => false))) return;
  }
}

async function filesIn(root) {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function readOptions() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: { backend: { type: 'string' }, 'no-isolation': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    return stop(`${error.message}\n\n${HELP}`);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const [name] = positionals;
  if (positionals.length !== 1 || name === '') stop(`One folder is wanted.\n\n${HELP}`);
  return { folder: resolve(name), backend: values.backend === undefined ? undefined : readBackend(values.backend), isolation: !values['no-isolation'] };
}

/** What the SDK would refuse in the page is refused here. */
function readBackend(address) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) return stop(`--backend wants an http(s) address, not "${address}".`);
  if (url.username !== '' || url.password !== '') return stop('--backend must not hold a name or a password: everybody who opens the page could read it.');
  const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'http:' && !isLocal) return stop(`--backend wants https: texts must not cross the network in clear (${address}).`);
  return url;
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
