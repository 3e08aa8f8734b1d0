// Serves the built demo, the model files and, where one is configured, a proxy to the back office.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { homedir } from 'node:os';
import { basename, extname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HELP = `Usage: node server.mjs [--port 8080] [--no-isolation]

  --port N         port on 127.0.0.1; 0 takes a free one
  --no-isolation   leave out COOP and COEP, as most sites do (one thread)

Environment:
  FRONTDESK_CACHE           folder that holds models/ (default ~/.cache/frontdesk)
  FRONTDESK_UPSTREAM_URL    chat-completions address of the back office, e.g. https://api.example.com/v1/chat/completions
  FRONTDESK_UPSTREAM_KEY    its key; stays in this process
  FRONTDESK_UPSTREAM_MODEL  model name to ask for; replaces the page's`;

const COMPLETIONS = '/v1/chat/completions';
const MAX_BODY_BYTES = 256 * 1024;
const UPSTREAM_TIMEOUT_MS = 120_000;
const CONTENT_TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};
const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; " +
    "style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};
const ISOLATION_HEADERS = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

const options = readOptions();
const pageFolder = fileURLToPath(new URL('./dist/', import.meta.url));
const modelsFolder = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models');
const upstream = readUpstream();

const server = createServer((request, response) => {
  handle(request, response).catch((error) => {
    if (response.headersSent) response.destroy(error);
    else fail(response, 500, 'internal_error', 'The demo server could not answer this request.');
  });
});
server.on('error', (error) => {
  if (error.code === 'EADDRINUSE') stop(`Port ${options.port} is in use. Choose another with --port, or stop the program that holds it.`);
  if (error.code === 'EACCES') stop(`Port ${options.port} needs more rights. Choose one above 1023 with --port.`);
  stop(`The server could not start: ${error.message}`);
});
server.listen(options.port, '127.0.0.1', () => {
  console.log(`Frontdesk demo: http://127.0.0.1:${server.address().port}/`);
  console.log(`  models from ${modelsFolder}`);
  console.log(`  back office: ${upstream ? upstream.url.host : 'none (set FRONTDESK_UPSTREAM_URL)'}`);
});

async function handle(request, response) {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
  if (options.isolation) for (const [name, value] of Object.entries(ISOLATION_HEADERS)) response.setHeader(name, value);

  // A foreign name that resolves to 127.0.0.1 must not make this its own server.
  if (!isOwnHost(request.headers.host)) return fail(response, 421, 'wrong_host', 'This server answers to 127.0.0.1 and localhost only.');

  const path = decodePath(request.url);
  if (path === undefined) return fail(response, 400, 'bad_path', 'The address cannot be read.');
  if (path === COMPLETIONS) {
    if (request.method === 'POST') return proxy(request, response);
    return fail(response, 405, 'method_not_allowed', 'Use POST.', { Allow: 'POST' });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return fail(response, 405, 'method_not_allowed', 'Use GET or HEAD.', { Allow: 'GET, HEAD' });
  }
  if (path === '/config.json') return sendConfig(request, response);
  if (path.startsWith('/models/')) {
    // The SDK keeps its own verified copy, so a second one in the HTTP cache would only take space.
    return sendFile(request, response, { root: modelsFolder, path: path.slice('/models'.length), cache: 'no-store' });
  }
  return sendFile(request, response, { root: pageFolder, path: path === '/' ? '/index.html' : path, cache: 'no-cache' });
}

/** What the page must know: whether there is a back office, and how big each model file is. */
async function sendConfig(request, response) {
  const sizeOf = async (id) => {
    const file = await stat(join(modelsFolder, `${id}.gguf`)).catch(() => undefined);
    return { id, bytes: file?.isFile() ? file.size : null };
  };
  const config = {
    upstream: upstream !== undefined,
    ...(upstream && { upstreamHost: upstream.url.hostname }),
    model: await sizeOf('smollm2-135m-instruct'),
    reflex: await sizeOf('minilm-l6'),
  };
  send(request, response, 200, JSON.stringify(config), { 'Content-Type': CONTENT_TYPES['.json'], 'Cache-Control': 'no-store' });
}

async function sendFile(request, response, { root, path, cache }) {
  const file = resolve(root, `.${path}`);
  const inside = file.startsWith(resolve(root) + sep) && !basename(file).startsWith('.');
  const facts = inside ? await stat(file).catch(() => undefined) : undefined;
  if (!facts?.isFile()) return fail(response, 404, 'not_found', 'There is no such file.');

  const etag = `"${facts.size.toString(16)}-${Math.trunc(facts.mtimeMs).toString(16)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Cache-Control', cache);
  response.setHeader('Accept-Ranges', 'bytes');
  if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end();

  response.setHeader('Content-Type', CONTENT_TYPES[extname(file)] ?? 'application/octet-stream');
  const ifRange = request.headers['if-range'];
  const wanted = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = parseRange(wanted, facts.size);
  if (range === 'unsatisfiable') {
    return fail(response, 416, 'range_not_satisfiable', 'The range lies outside the file.', { 'Content-Range': `bytes */${facts.size}` });
  }
  const { start, end } = range ?? { start: 0, end: facts.size - 1 };
  if (range) response.setHeader('Content-Range', `bytes ${start}-${end}/${facts.size}`);
  response.writeHead(range ? 206 : 200, { 'Content-Length': end - start + 1 });
  if (request.method === 'HEAD' || facts.size === 0) return void response.end();
  await pipeline(createReadStream(file, { start, end }), response).catch(ignoreDeparture);
}

/** One `bytes=` range, or `undefined` for the whole file; several ranges count as none, as the standard allows. */
function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const suffix = match[1] === '';
  const start = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = suffix || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
}

/** Passes a completion request on with the key added, and the answer back as it comes. */
async function proxy(request, response) {
  if (!upstream) return fail(response, 503, 'no_upstream', 'No back office is configured. Set FRONTDESK_UPSTREAM_URL and start again.');
  // The key is spent on behalf of this page only: other sites cannot send JSON here without a preflight, which is refused.
  const site = request.headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return fail(response, 403, 'foreign_origin', 'Only this page may ask.');
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? '')) return fail(response, 415, 'not_json', 'Send application/json.');

  const body = await readJson(request);
  if (body.problem) return fail(response, body.status, body.problem, body.message);
  const leaving = new AbortController();
  response.on('close', () => leaving.abort());
  const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(UPSTREAM_TIMEOUT_MS)]);
  try {
    const answer = await fetch(upstream.url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: request.headers.accept ?? 'application/json',
        ...(upstream.key && { Authorization: `Bearer ${upstream.key}` }),
      },
      body: JSON.stringify(upstream.model ? { ...body.value, model: upstream.model } : body.value),
      redirect: 'error',
      signal,
    });
    const headers = { 'Content-Type': answer.headers.get('content-type') ?? 'application/json', 'Cache-Control': 'no-store' };
    const retryAfter = answer.headers.get('retry-after');
    if (retryAfter !== null) headers['Retry-After'] = retryAfter;
    response.writeHead(answer.status, headers);
    response.flushHeaders();
    if (answer.body) await pipeline(Readable.fromWeb(answer.body), response);
    else response.end();
  } catch (error) {
    if (leaving.signal.aborted && response.destroyed) return;
    if (response.headersSent) return void response.destroy();
    if (error.name === 'TimeoutError') return fail(response, 504, 'upstream_timeout', 'The back office did not answer in time.');
    fail(response, 502, 'upstream_unreachable', 'The back office could not be reached.');
  }
}

async function readJson(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    // The rest is read and dropped: leaving early would cut the connection before the answer.
  }
  if (length > MAX_BODY_BYTES) return { problem: 'body_too_large', status: 413, message: `At most ${MAX_BODY_BYTES} bytes are passed on.` };
  try {
    const value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return { value };
  } catch {
    // Falls through to the same answer as JSON that is no object.
  }
  return { problem: 'bad_json', status: 400, message: 'The body is not a JSON object.' };
}

function send(request, response, status, text, headers) {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
}

/** An error in the shape that OpenAI-compatible clients read. */
function fail(response, status, code, message, headers = {}) {
  const text = JSON.stringify({ error: { code, message, type: 'frontdesk_demo_server' } });
  response.writeHead(status, { 'Content-Type': CONTENT_TYPES['.json'], 'Cache-Control': 'no-store', 'Content-Length': Buffer.byteLength(text), ...headers });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

function decodePath(url) {
  try {
    const path = decodeURIComponent(new URL(url, 'http://127.0.0.1').pathname);
    return path.includes('\0') ? undefined : path;
  } catch {
    return undefined;
  }
}

function isOwnHost(host) {
  return /^(127\.0\.0\.1|localhost)(:\d+)?$/i.test(host ?? '');
}

/** A visitor who closes the page in the middle of a file is no fault. */
function ignoreDeparture(error) {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE' && error.code !== 'ECONNRESET') throw error;
}

function readUpstream() {
  const address = process.env.FRONTDESK_UPSTREAM_URL;
  if (!address) return undefined;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) stop(`FRONTDESK_UPSTREAM_URL is not an http(s) address: ${address}`);
  return { url, key: process.env.FRONTDESK_UPSTREAM_KEY, model: process.env.FRONTDESK_UPSTREAM_MODEL };
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: { port: { type: 'string', default: '8080' }, 'no-isolation': { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65535) stop(`--port wants a number from 0 to 65535, not "${values.port}".`);
    return { port, isolation: !values['no-isolation'] };
  } catch (error) {
    return stop(`${error.message}\n\n${HELP}`);
  }
}

function stop(message) {
  console.error(message);
  process.exit(1);
}
