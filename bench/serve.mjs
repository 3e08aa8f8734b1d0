// A static server for the benchmark pages: folders by URL prefix, with or without isolation.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};

/**
 * Serves `folders` (URL prefix -> folder) on a free port of 127.0.0.1.
 * @returns {Promise<{ url: string, close: () => void }>}
 */
export function serve(folders, { isolated }) {
  const server = createServer((request, response) => {
    const pathname = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    if (pathname === '/') {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><title>bench</title>');
      return;
    }
    const file = locate(folders, pathname);
    const size = file && statSync(file, { throwIfNoEntry: false })?.size;
    if (size === undefined || size === null) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader('Content-Type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    response.setHeader('Content-Length', size);
    if (request.method === 'HEAD') {
      response.end();
    } else {
      createReadStream(file).pipe(response);
    }
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${server.address().port}/`;
      resolve({ url, close: () => server.close() });
    });
  });
}

function locate(folders, pathname) {
  for (const [prefix, folder] of Object.entries(folders)) {
    if (pathname.startsWith(prefix)) {
      const file = path.resolve(folder, `.${pathname.slice(prefix.length - 1)}`);
      return file.startsWith(path.resolve(folder) + path.sep) ? file : undefined;
    }
  }
  return undefined;
}
