/** The extension's zip: complete, the same bytes each time, with the model uncompressed, and with a fixed identifier unless a store gives one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { unzipSync } from '../../www/node_modules/fflate/esm/index.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'www/extension/pack.mjs');
/** Of the key in www/extension/manifest.mjs; back offices allow it by name. */
const IDENTIFIER = 'jjfaieebclbjhjmojjbklfkbapbpladd';

let place: string;
test.beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'frontdesk-zip-'));
});
test.afterAll(() => rm(place, { recursive: true }));

function pack(name: string, options: readonly string[] = [], env: Readonly<Record<string, string>> = {}): string {
  const zip = join(place, `${name}.zip`);
  execFileSync(process.execPath, [program, '--folder', join(place, name), '--out', zip, ...options], { stdio: 'pipe', env: { ...process.env, ...env } });
  return zip;
}

function contents(bytes: Buffer): Readonly<Record<string, Uint8Array>> {
  return unzipSync(new Uint8Array(bytes));
}

test('two builds have the same bytes, whatever the folder and the time zone', async () => {
  const first = await readFile(pack('one', [], { TZ: 'America/St_Johns' }));
  const second = await readFile(pack('two', [], { TZ: 'Asia/Tokyo' }));
  expect(createHash('sha256').update(first).digest('hex')).toBe(createHash('sha256').update(second).digest('hex'));
});

test('the zip has all that the manifest and the pages name, the model as its manifest describes it, and no more', async () => {
  const zip = pack('whole');
  const files = contents(await readFile(zip));
  const text = (name: string): string => Buffer.from(files[name] ?? []).toString('utf8');
  const manifest = JSON.parse(text('manifest.json')) as { version: string; key: string; icons: Record<string, string> };
  const { version } = JSON.parse(await readFile(join(root, 'www/extension/package.json'), 'utf8')) as { version: string };
  expect(manifest.version).toBe(version);
  const variants = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'].flatMap((variant) => [`frontdesk/wasm/${variant}/frontdesk.js`, `frontdesk/wasm/${variant}/frontdesk_bg.wasm`]);
  const pages = ['panel', 'options', 'offscreen'].flatMap((page) => [`${page}.html`, `${page}.js`]);
  const sdk = ['index.js', 'worker.js', 'thread_worker.js', 'third_party_licences.txt'].map((name) => `frontdesk/${name}`);
  const wanted = ['manifest.json', 'background.js', 'narrow.js', 'guard.js', 'panel-style.css', 'options-style.css', ...pages, ...variants, ...sdk, ...Object.values(manifest.icons), 'models/smollm2-135m-instruct.gguf', 'LICENSE-APACHE', 'LICENSE-MIT', 'third_party_licences.txt'];
  expect(Object.keys(files).sort()).toEqual(wanted.sort());
  const [model] = (JSON.parse(await readFile(join(root, 'models/manifest.json'), 'utf8')) as { models: { sha256: string }[] }).models;
  expect(createHash('sha256').update(files['models/smollm2-135m-instruct.gguf'] ?? '').digest('hex')).toBe(model?.sha256);
  const unpacked = Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);
  expect((await stat(zip)).size).toBeLessThan(unpacked);
  // As browsers make identifiers: the first half of the key's SHA-256, with letters from a to p.
  const hash = createHash('sha256').update(Buffer.from(manifest.key, 'base64')).digest('hex').slice(0, 32);
  expect([...hash].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16))).join('')).toBe(IDENTIFIER);
});

test('for a store the key is left out, for one back office the policy names it, and other addresses are refused', async () => {
  expect(JSON.parse(Buffer.from(contents(await readFile(pack('store', ['--no-key'])))['manifest.json'] ?? []).toString())).not.toHaveProperty('key');
  const fixed = JSON.parse(Buffer.from(contents(await readFile(pack('fixed', ['--backend', 'https://office.example/v1/chat/completions'])))['manifest.json'] ?? []).toString()) as { content_security_policy: { extension_pages: string } };
  expect(fixed.content_security_policy.extension_pages).toContain("connect-src 'self' https://office.example;");
  for (const address of ['office.example', 'http://office.example', 'https://me:key@office.example', 'https://office.example/?key=1']) {
    const { status, stderr } = spawnSync(process.execPath, [program, '--backend', address, '--out', join(place, 'never.zip')], { encoding: 'utf8' });
    expect(status, address).toBe(2);
    expect(stderr).toContain('--backend');
  }
});
