/** One web site on a port of its own: the test pages, the built SDK, the models and the backend. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveModel } from './models.ts';
import { Upstream } from './upstream.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const sdk = join(here, '../../../www/sdk/dist');
const FOLDERS = { '/sdk/': sdk, '/node_modules/frontdesk/dist/': sdk, '/': join(here, '../pages') };
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
};

export interface Site {
  readonly origin: string;
  /** `METHOD /path` of every request that arrived. */
  readonly log: string[];
  readonly upstream: Upstream;
  /** Scripts and pages that were made for a test, by their paths. */
  readonly scripts: Map<string, string>;
  close(): Promise<void>;
}

/** `isolated` sends the headers that make pages cross-origin isolated. */
export async function startSite({ isolated }: { isolated: boolean }): Promise<Site> {
  const log: string[] = [];
  const upstream = new Upstream();
  const scripts = new Map<string, string>();
  const server = createServer((request, response) => {
    log.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    route({ upstream, scripts }, request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    log,
    upstream,
    scripts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function route({ upstream, scripts }: Pick<Site, 'upstream' | 'scripts'>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://site').pathname;
  if (path === Upstream.path && request.method === 'POST') return upstream.handle(request, response);
  if (serveModel(request, response)) return;
  const script = scripts.get(path);
  if (script !== undefined) {
    response.writeHead(200, { 'content-type': TYPES[extname(path)] }).end(script);
    return;
  }
  const file = staticFile(path);
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
  response.end(await readFile(file));
}

function staticFile(path: string): string | undefined {
  const [prefix, folder] = Object.entries(FOLDERS).find(([start]) => path.startsWith(start)) ?? [];
  if (prefix === undefined || folder === undefined) return undefined;
  const file = join(folder, normalize(`/${path.slice(prefix.length)}`));
  return existsSync(file) && statSync(file).isFile() ? file : undefined;
}
