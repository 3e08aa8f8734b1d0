/** A plain static host, as simple as they come: files below a path, no header but the type, no ranges, no settings. */
import { execFile } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILDER = fileURLToPath(new URL('../../../www/demo/static.mjs', import.meta.url));
const CACHE = process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk');
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export interface StaticSite {
  readonly url: string;
  readonly origin: string;
  /** Where its files are; may be changed while it runs. */
  readonly folder: string;
  /** `METHOD /path` of every request that arrived. */
  readonly log: string[];
  /** Answers in the place of files, by path; `undefined` stands for a host that does not have the file. */
  readonly instead: Map<string, string | undefined>;
  /** Answers of any kind, by path; the page's own is empty. */
  readonly strange: Map<string, RequestListener>;
  /** Ends the host and leaves its files. */
  stop(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

/** Runs the builder, as `./build.sh demo --static` does; gives what it printed. */
export async function buildStatic(folder: string, options: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BUILDER, ...options, '--', folder], { env: { ...process.env, ...environment } });
  return stdout;
}

/** Builds a site with these options and serves it below `path`. */
export async function startStaticSite({ options = [], path = '/some/path/' }: { readonly options?: readonly string[]; readonly path?: string } = {}): Promise<StaticSite> {
  const folder = await mkdtemp(join(tmpdir(), 'frontdesk-site-'));
  await buildStatic(folder, options, { FRONTDESK_CACHE: CACHE });
  const log: string[] = [];
  const instead: StaticSite['instead'] = new Map();
  const strange: StaticSite['strange'] = new Map();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    log.push(`${request.method ?? ''} ${pathname}`);
    const name = pathname.startsWith(path) ? normalize(`/${pathname.slice(path.length)}`).slice(1) || 'index.html' : '';
    const listener = strange.get(pathname.slice(path.length));
    if (listener !== undefined && pathname.startsWith(path)) return listener(request, response);
    const file = join(folder, name);
    const type = { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' };
    if (instead.has(name)) {
      const text = instead.get(name);
      response.writeHead(text === undefined ? 404 : 200, type).end(text);
    } else if (name !== '' && existsSync(file) && statSync(file).isFile()) {
      response.writeHead(200, { ...type, 'content-length': statSync(file).size });
      createReadStream(file).pipe(response);
    } else {
      response.writeHead(404).end();
    }
  });
  const port = await listen(server);
  const stop = () => ended(server);
  const origin = `http://127.0.0.1:${port}`;
  return {
    ...{ url: `${origin}${path}`, origin, folder, log, instead, strange, stop },
    close: async () => {
      await stop();
      await rm(folder, { recursive: true });
    },
  };
}

export interface Listener {
  readonly origin: string;
  /** `METHOD /path` of every request that arrived. */
  readonly log: string[];
  close(): Promise<void>;
}

/** Another origin, which anybody may ask; on a port of its own unless one is given. */
export async function startListener({ port = 0, answer = hear }: { readonly port?: number; readonly answer?: RequestListener } = {}): Promise<Listener> {
  const log: string[] = [];
  const server = createServer((request, response) => {
    log.push(`${request.method ?? ''} ${request.url ?? ''}`);
    answer(request, response);
  });
  return { origin: `http://127.0.0.1:${await listen(server, port)}`, log, close: () => ended(server) };
}

const hear: RequestListener = (_, response) => {
  response.writeHead(200, { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' }).end('heard');
};

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function ended(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}
