/** Serves a made-up file over HTTP in every way that servers, and what lies before them, get it wrong. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const MIB = 1024 * 1024;

/** Bytes without a pattern that a wrong offset could hide in. */
function madeUp(bytes: number, seed: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  let state = seed;
  for (let index = 0; index < words.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Long enough for several chunks of the default length. */
export const CONTENT = madeUp(13 * MIB, 1);
const OTHER_CONTENT = madeUp(13 * MIB, 2);

const CHUNK_BYTES = MIB;
const chunkHashes = Array.from({ length: CONTENT.length / CHUNK_BYTES }, (_, index) => hashOf(CONTENT.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)));

/** What the file is. */
export const FILE = { sha256: hashOf(CONTENT), bytes: CONTENT.length };
/** The same, with the hash of each part. */
export const FILE_IN_CHUNKS = { ...FILE, chunks: { bytes: CHUNK_BYTES, sha256: chunkHashes } };

/** One request for the file. */
export interface FileRequest {
  readonly range: string | undefined;
  readonly start: number;
  /** The byte after the last. */
  readonly end: number;
  /** How many came before it. */
  readonly index: number;
  readonly response: ServerResponse;
}

type Serve = (request: FileRequest) => void;

/** Answers a range, and says what it is. */
function serveRange({ range, start, end, response }: FileRequest, { content = CONTENT, headers = {} }: { content?: Buffer; headers?: Record<string, string | number> } = {}): void {
  if (range === undefined) {
    response.writeHead(200, { 'content-length': content.length, ...headers }).end(content);
    return;
  }
  const body = content.subarray(start, end);
  response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${content.length}`, 'content-length': body.length, ...headers }).end(body);
}

function serveWhole(response: ServerResponse, headers: Record<string, string | number> = {}): void {
  response.writeHead(200, { 'content-length': CONTENT.length, ...headers }).end(CONTENT);
}

/** Sends the first bytes of what was asked for, and then breaks the connection. */
function cutAfter(bytes: number, { start, end, response }: FileRequest): void {
  response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}`, 'content-length': end - start });
  response.write(CONTENT.subarray(start, Math.min(end, start + bytes)), () => response.destroy());
}

function flip(content: Buffer, at: number): Buffer {
  const flipped = Buffer.from(content);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
  return flipped;
}

const FLIPPED = flip(CONTENT, 6 * MIB + 100);

/** How the file is served, by name. */
export const WAYS = {
  right: (request) => { serveRange(request); },
  with_etag: (request) => { serveRange(request, { headers: { etag: '"one"' } }); },
  without_ranges: ({ response }) => { serveWhole(response); },
  without_ranges_or_length: ({ response }) => { response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(CONTENT); },
  /** Knows ranges at first. */
  forgets_ranges: (request) => { if (request.index < 3) serveRange(request); else serveWhole(request.response); },
  cuts_each: (request) => { cutAfter(700_000, request); },
  cuts_at_once: (request) => { cutAfter(10, request); },
  cuts_whole_once: ({ index, response }) => {
    response.writeHead(200, { 'content-length': CONTENT.length });
    if (index > 0) response.end(CONTENT);
    else response.write(CONTENT.subarray(0, 9 * MIB), () => response.destroy());
  },
  stalls: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}`, 'content-length': end - start });
    response.write(CONTENT.subarray(start, start + 1000));
  },
  stalls_once: (request) => { if (request.index === 1) (WAYS.stalls)(request); else serveRange(request); },
  never_answers: () => undefined,
  slow: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}`, 'content-length': end - start });
    let sent = start;
    const timer = setInterval(() => {
      response.write(CONTENT.subarray(sent, Math.min(end, (sent += 64 * 1024))));
      if (sent >= end) {
        clearInterval(timer);
        response.end();
      }
    }, 30);
    response.on('close', () => {
      clearInterval(timer);
    });
  },
  /** The head promises more than comes. */
  promises_more: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}`, 'content-length': end - start + 1000 });
    response.write(CONTENT.subarray(start, end), () => response.end());
  },
  sends_more: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}` }).end(CONTENT.subarray(start, end + 1000));
  },
  says_other_length: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${CONTENT.length + 5}` }).end(CONTENT.subarray(start, end));
  },
  /** Other bytes than were asked for, and says so. */
  other_range: ({ start, end, response }) => {
    response.writeHead(206, { 'content-range': `bytes ${start + 1}-${end}/${CONTENT.length}` }).end(CONTENT.subarray(start + 1, end + 1));
  },
  /** Other bytes than were asked for, and says nothing. */
  other_range_hidden: ({ start, end, response }) => { response.writeHead(206).end(CONTENT.subarray(start + 1, end + 1)); },
  range_hidden: ({ range, start, end, response }) => {
    if (range === undefined) serveWhole(response);
    else response.writeHead(206).end(CONTENT.subarray(start, end));
  },
  shorter_pieces: ({ start, end, response }) => {
    const last = Math.min(end, start + MIB / 2);
    response.writeHead(206, { 'content-range': `bytes ${start}-${last - 1}/${CONTENT.length}` }).end(CONTENT.subarray(start, last));
  },
  multipart: ({ response }) => { response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=x' }).end('--x\r\n\r\nnonsense\r\n--x--'); },
  /** Another file under another name for it, from the third request on. */
  changes: (request) => {
    if (request.index < 2) serveRange(request, { headers: { etag: '"old"' }, content: OTHER_CONTENT });
    else serveRange(request, { headers: { etag: '"new"' } });
  },
  changes_unsaid: (request) => { serveRange(request, request.index < 2 ? { content: OTHER_CONTENT } : {}); },
  /** As behind a balancer of servers that each have a name of their own for the same file. */
  other_etags: (request) => { serveRange(request, { headers: { etag: `"${request.index}"` } }); },
  flipped: (request) => { serveRange(request, { content: FLIPPED }); },
  flipped_once: (request) => { serveRange(request, request.index < 8 ? { content: FLIPPED } : {}); },
  busy_first: (request) => {
    if (request.index === 1) request.response.writeHead(429, { 'retry-after': '0' }).end();
    else if (request.index === 2) request.response.writeHead(503).end();
    else serveRange(request);
  },
  busy_for_an_hour: ({ response }) => { response.writeHead(503, { 'retry-after': '3600' }).end(); },
  refuses_ranges: ({ range, response }) => { if (range === undefined) serveWhole(response); else response.writeHead(416).end(); },
  forbidden: ({ response }) => { response.writeHead(403).end('no'); },
  login_page: ({ response }) => { response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Please log in</p>'); },
  redirects: ({ index, response, ...rest }) => {
    if (index % 2 === 0) response.writeHead(302, { location: '/redirects' }).end();
    else serveRange({ index, response, ...rest });
  },
  redirects_for_ever: ({ response }) => { response.writeHead(302, { location: '/redirects_for_ever' }).end(); },
  compressed: ({ response }) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end('this is not gzip');
  },
} satisfies Record<string, Serve>;

export type Way = keyof typeof WAYS;

/** A server whose paths are the ways. */
export interface FileServer {
  readonly origin: string;
  /** The ranges that were asked for, in order, as `way range`. */
  readonly log: string[];
  /** Connections are refused from now on, or no longer. */
  setDown(isDown: boolean): void;
  close(): Promise<void>;
}

export async function startFileServer(): Promise<FileServer> {
  const log: string[] = [];
  const counts = new Map<string, number>();
  let isDown = false;
  const server = createServer((request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    response.setHeader('access-control-expose-headers', 'content-range, etag, retry-after');
    const way = (request.url ?? '').slice(1).split('?')[0] ?? '';
    if (isDown) request.destroy();
    else if (Object.hasOwn(WAYS, way)) answer(way as Way, request, response);
    else response.writeHead(404).end();
  });
  const answer = (way: Way, request: IncomingMessage, response: ServerResponse) => {
    const index = counts.get(request.url ?? '') ?? 0;
    counts.set(request.url ?? '', index + 1);
    const { range } = request.headers;
    log.push(`${way} ${range ?? 'whole'}`);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    const end = Math.min(CONTENT.length, last === undefined ? CONTENT.length : Number(last) + 1);
    WAYS[way]({ range, start: Number(first ?? 0), end, index, response });
  };
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    log,
    setDown: (down) => {
      isDown = down;
      if (down) server.closeAllConnections();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}
