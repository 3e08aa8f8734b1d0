// Packs the extension with its models: an unpacked folder, and a zip with the same bytes each time.
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { zipSync } from 'fflate';
import { buildExtension } from './build.mjs';

const USAGE = `Usage: node pack.mjs [options]

  --backend URL   the one back office of this build; an address without a path means /v1/chat/completions
  --out FILE.zip  where the zip goes (default target/frontdesk-extension.zip)
  --folder PATH   where the unpacked extension goes (default target/extension)
  --no-key        without the key that fixes the identifier; for a store`;

const root = fileURLToPath(new URL('../../', import.meta.url));
const MODELS = ['smollm2-135m-instruct'];
/** The earliest time that a zip can hold, in whatever time zone. */
const NO_TIME = new Date(1980, 0, 1);

const options = readOptions();
const folder = resolve(options.folder ?? join(root, 'target/extension'));
const zip = resolve(options.out ?? join(root, 'target/frontdesk-extension.zip'));

await buildExtension({ into: folder, address: options.address, withKey: options.withKey });
for (const id of MODELS) await copyModel(id);
const bytes = await zipped();
await mkdir(dirname(zip), { recursive: true });
await writeFile(`${zip}.part`, bytes);
await rename(`${zip}.part`, zip);
const sha256 = createHash('sha256').update(bytes).digest('hex');
console.log(`extension: ${folder}`);
console.log(`extension: ${zip}, ${(bytes.length / 1e6).toFixed(1)} MB, sha256 ${sha256}`);

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { backend: { type: 'string' }, out: { type: 'string' }, folder: { type: 'string' }, 'no-key': { type: 'boolean', default: false } },
    });
    if (values.out !== undefined && !values.out.endsWith('.zip')) throw new Error('--out wants a file that ends in .zip');
    return { ...values, withKey: !values['no-key'], address: values.backend === undefined ? undefined : backendAddress(values.backend) };
  } catch (error) {
    console.error(`extension: ${error.message}\n\n${USAGE}`);
    return process.exit(2);
  }
}

/** The same rules as on the options page. */
function backendAddress(given) {
  if (!URL.canParse(given)) throw new Error(`--backend wants an address, not "${given}"`);
  const url = new URL(given);
  const isLocal = url.protocol === 'http:' && ['localhost', '127.0.0.1'].includes(url.hostname);
  if (url.protocol !== 'https:' && !isLocal) throw new Error('--backend wants https, or http on localhost or 127.0.0.1');
  if (url.username || url.password || url.search || url.hash) throw new Error('--backend must carry no name, password, or part after ? or #: keys belong in the back office');
  if (url.pathname === '/') url.pathname = '/v1/chat/completions';
  return url.href;
}

/** What is packed is what the manifest names, byte for byte. */
async function copyModel(id) {
  const { models } = JSON.parse(await readFile(join(root, 'models/manifest.json'), 'utf8'));
  const model = models.find((entry) => entry.id === id);
  const from = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache/frontdesk'), 'models', model.file);
  const found = await stat(from).catch(() => undefined);
  if (found === undefined) fail(`${from} is missing; ./build.sh extension fetches it`);
  if (createHash('sha256').update(await readFile(from)).digest('hex') !== model.sha256) fail(`${from} is not the file that models/manifest.json names`);
  await mkdir(join(folder, 'models'), { recursive: true });
  await copyFile(from, join(folder, 'models', model.file));
}

async function zipped() {
  const files = {};
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  for (const path of names.sort()) {
    // Weights hardly compress, and reading them back costs time.
    const level = path.endsWith('.gguf') ? 0 : 9;
    files[path.slice(folder.length + 1).replaceAll('\\', '/')] = [new Uint8Array(await readFile(path)), { level, mtime: NO_TIME, os: 3, attrs: 0o644 << 16 }];
  }
  await rm(`${zip}.part`, { force: true });
  return zipSync(files);
}

function fail(message) {
  console.error(`extension: ${message}`);
  process.exit(1);
}
