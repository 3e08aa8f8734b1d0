/** Serves the real model, and small made-up files that arrive wrong in every way a download can. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

const folder = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models');

/** The default model, as models/manifest.json calls it. */
export const REAL_MODEL = 'smollm2-135m-instruct.gguf';

/** Bytes that are no model, but have a length and a hash. */
const madeUp = Buffer.alloc(3 * 1024 * 1024, 'not a model ');

export const MADE_UP = {
  bytes: madeUp.length,
  sha256: createHash('sha256').update(madeUp).digest('hex'),
};

export type Delivery = 'whole' | 'flipped' | 'short' | 'long' | 'cut' | 'slow' | 'missing';

const DELIVERIES: Readonly<Record<Delivery, (response: ServerResponse) => unknown>> = {
  whole: (response) => response.end(madeUp),
  flipped: (response) => {
    const flipped = Buffer.from(madeUp);
    flipped.writeUInt8(flipped.readUInt8(1000) ^ 1, 1000);
    return response.end(flipped);
  },
  short: (response) => response.end(madeUp.subarray(0, madeUp.length / 2)),
  long: (response) => response.end(Buffer.concat([madeUp, madeUp])),
  cut: (response) => {
    response.setHeader('content-length', madeUp.length);
    response.write(madeUp.subarray(0, madeUp.length / 2), () => response.destroy());
  },
  slow: (response) => {
    response.setHeader('content-length', madeUp.length);
    let sent = 0;
    const timer = setInterval(() => {
      response.write(madeUp.subarray(sent, (sent += 32 * 1024)));
      if (sent >= madeUp.length) response.end();
    }, 20);
    response.on('close', () => {
      clearInterval(timer);
    });
  },
  missing: (response) => response.writeHead(404).end(),
};

/** Answers `/models/<file>` from the model folder and `/made-up/<delivery>`; false where it is neither. */
export function serveModel(request: IncomingMessage, response: ServerResponse): boolean {
  const path = request.url ?? '';
  if (path.startsWith('/made-up/')) {
    const deliver = DELIVERIES[basename(path) as Delivery] as (typeof DELIVERIES)[Delivery] | undefined;
    if (!deliver) return false;
    response.setHeader('content-type', 'application/octet-stream');
    deliver(response);
    return true;
  }
  const file = join(folder, basename(path));
  if (!path.startsWith('/models/') || !existsSync(file)) return false;
  const { size } = statSync(file);
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const range = first === undefined ? undefined : { start: Number(first), end: Math.min(Number(last), size - 1) };
  const length = range ? range.end - range.start + 1 : size;
  response.writeHead(range ? 206 : 200, {
    'content-type': 'application/octet-stream',
    'content-length': length,
    ...(range && { 'content-range': `bytes ${range.start}-${range.end}/${size}` }),
  });
  createReadStream(file, range).pipe(response);
  return true;
}
