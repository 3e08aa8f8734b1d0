// A static server for the benchmark pages: folders by URL prefix, with or without isolation.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

const TYPES = {
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

/**
 * Serves `folders` (URL prefix -> folder) on a free port of 127.0.0.1. `isolated` sends the headers
 * without which a page has no threads.
 * @returns {Promise<{ url: string, takeServed: () => string[], close: () => void }>} `takeServed` gives
 *   the files that were served since it was last called.
 */
export function serve(folders, { isolated }) {
  const served = new Set();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    if (pathname === '/') {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><html lang="en"><title>bench</title>');
      return;
    }
    const file = locate(folders, decodeURIComponent(pathname));
    const found = file && statSync(file, { throwIfNoEntry: false });
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    served.add(file);
    response.setHeader('Content-Type', TYPES[path.extname(file)] ?? 'application/octet-stream');
    response.setHeader('Content-Length', found.size);
    // As a site would: a second visit finds code in the browser's cache, and models are compared by tag.
    response.setHeader('Cache-Control', 'max-age=3600');
    response.setHeader('ETag', `"${found.size}-${Math.round(found.mtimeMs)}"`);
    if (request.method === 'HEAD') {
      response.end();
    } else {
      createReadStream(file).pipe(response);
    }
  });
  const takeServed = () => {
    const files = [...served];
    served.clear();
    return files;
  };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${server.address().port}/`;
      resolve({ url, takeServed, close: () => server.close() });
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
