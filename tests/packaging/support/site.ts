/** A web site of one consumer: its files or its own server, the model, and the headers that a test wants. */
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, request as forward, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { serveModel } from '../../browser/servers/models.ts';

/** As in the SDK's README; the address is added so that a browser tells of what it refused. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
const REPORTS = '/policy-reports';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

export interface SiteOptions {
  /** A folder of files, or the port of a server that is asked. */
  readonly from: string | number;
  /** Where the page lies on the site; default the root. */
  readonly path?: string;
  /** Sends the headers of cross-origin isolation, so that there are threads. */
  readonly isolated?: boolean;
  /** Sends a strict Content-Security-Policy. */
  readonly strict?: boolean;
}

export interface Site extends Required<SiteOptions> {
  readonly url: string;
  /** Paths that were asked for and are not there. */
  readonly absent: string[];
  /** What the browser refused because of the policy. */
  readonly refused: string[];
  close(): Promise<void>;
}

export async function startSite(options: SiteOptions): Promise<Site> {
  const { from, path = '/', isolated = false, strict = false } = options;
  const absent: string[] = [];
  const refused: string[] = [];
  const server = createServer((request, response) => {
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    if (strict) response.setHeader('content-security-policy', `${POLICY}; report-uri ${REPORTS}`);
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    if (pathname === REPORTS) {
      request.setEncoding('utf8').on('data', (text: string) => refused.push(text));
      response.writeHead(204).end();
    } else if (pathname === '/favicon.ico') {
      response.writeHead(204).end();
    } else if (!serveModel(request, response)) {
      if (typeof from === 'number') ask(from, request, response);
      else if (!serveFile(from, path, pathname, response)) absent.push(pathname);
    }
    response.on('finish', () => {
      if (response.statusCode >= 400 && typeof from === 'number') absent.push(pathname);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
      server.closeAllConnections();
    });
  return { from, path, isolated, strict, url: `http://127.0.0.1:${port}${path}`, absent, refused, close };
}

function serveFile(folder: string, root: string, path: string, response: ServerResponse): boolean {
  const inside = path.startsWith(root) ? normalize(`/${path.slice(root.length)}`) : undefined;
  const file = inside === undefined ? '' : join(folder, inside.endsWith('/') ? `${inside}index.html` : inside);
  if (!existsSync(file) || !statSync(file).isFile()) {
    response.writeHead(404).end();
    return false;
  }
  response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
  createReadStream(file).pipe(response);
  return true;
}

/** Hands the request on to the consumer's own server. */
function ask(port: number, { url, method, headers }: IncomingMessage, response: ServerResponse): void {
  forward({ host: '127.0.0.1', port, path: url, method, headers }, (answer) => {
    for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) response.setHeader(name, value);
    response.writeHead(answer.statusCode ?? 502);
    answer.pipe(response);
  })
    .on('error', () => {
      response.writeHead(502).end();
    })
    .end();
}
