/** One request for a part of a file, and what the answer says it is (worker only). */
import { DownloadFailedError, type FrontdeskError, LengthMismatchError } from '../errors.js';
import type { Attempt } from './patience.js';
import { parseRetryAfter } from '../retry_after.js';

/** Bytes of a file; `end` is the byte after the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** An answer whose body is yet to be read. */
export interface RangeAnswer {
  /** Where its first byte lies in the file: 0 where the server ignored the range and sends everything. */
  readonly start: number;
  readonly isWhole: boolean;
  /** Length of the whole file, where the server says it. */
  readonly bytes?: number;
  /** What the server calls this version of the file. */
  readonly etag?: string;
  read(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  cancel(): void;
}

/** Where pieces of answers are read into, one answer after another. */
export interface Scratch {
  buffer: ArrayBuffer;
}

/** What is asked for, and how. */
export interface RangeAsked {
  /** The whole file where none is given. */
  readonly range: ByteRange | undefined;
  readonly attempt: Attempt;
  readonly scratch: Scratch;
}

/** A failure that may pass. */
export class PassingFailure extends Error {
  readonly error: FrontdeskError;
  /** What the server asks to wait. */
  readonly afterMs: number | undefined;

  constructor(error: FrontdeskError, afterMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.afterMs = afterMs;
  }
}

const PIECE_BYTES = 1024 * 1024;
/** Too many requests, and what servers and those before them say while they restart. */
const PASSING_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Rejects with a typed error, or with the signal's reason. */
export async function requestRange(url: string, asked: RangeAsked): Promise<RangeAnswer> {
  const { attempt } = asked;
  const range = knowsRanges(url) ? asked.range : undefined;
  const headers: Record<string, string> = range ? { range: `bytes=${range.start}-${range.end - 1}` } : {};
  let response: Response;
  try {
    // The browser's own cache would hold the file a second time.
    response = await attempt.wait(fetch(url, { signal: attempt.signal, cache: 'no-store', headers }));
  } catch (error) {
    attempt.throwIfGivenUp();
    throw new PassingFailure(attempt.signal.aborted ? (attempt.signal.reason as FrontdeskError) : new DownloadFailedError(`${url} could not be reached`, { cause: error }));
  }
  try {
    return { ...describe(response, url, range), ...bodyOf(response, url, asked) };
  } catch (error) {
    response.body?.cancel().catch(() => undefined);
    throw error;
  }
}

/** Of a file of an extension Chromium sends the range alone, but with status 200, as if that were the whole file. */
function knowsRanges(url: string): boolean {
  return new URL(url).protocol !== 'chrome-extension:';
}

/** What the head of the answer says. */
function describe(response: Response, url: string, range: ByteRange | undefined): Pick<RangeAnswer, 'start' | 'isWhole' | 'bytes' | 'etag'> {
  const { status, headers } = response;
  const etag = headers.get('etag') ?? undefined;
  const known = etag === undefined ? {} : { etag };
  if (status === 200) {
    const bytes = Number(headers.get('content-length') ?? 0);
    return { start: 0, isWhole: true, ...(bytes > 0 && { bytes }), ...known };
  }
  if (status === 206 && range) {
    const [first, last, bytes] = contentRange(headers.get('content-range'));
    // A server of another origin may keep the header to itself; then the hash alone tells.
    if (first !== undefined && (first !== range.start || last === undefined || last >= range.end)) {
      throw new PassingFailure(new DownloadFailedError(`${url} answered with other bytes than were asked for`));
    }
    return { start: range.start, isWhole: false, ...(bytes !== undefined && { bytes }), ...known };
  }
  const error = new DownloadFailedError(`${url} answered with status ${status}`, { details: { status } });
  if (status === 416) throw new LengthMismatchError(`${url} is shorter than it should be`, { cause: error, ...(range && { details: { expectedBytes: range.end } }) });
  if (!PASSING_STATUSES.has(status)) throw error;
  throw new PassingFailure(error, parseRetryAfter(headers.get('retry-after'), Date.now()));
}

/** First and last byte and length of the whole; nothing where the header is missing or senseless. */
function contentRange(header: string | null): [first?: number, last?: number, bytes?: number] {
  const [, first, last, bytes] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === undefined) return [];
  return bytes === '*' ? [Number(first), Number(last)] : [Number(first), Number(last), Number(bytes)];
}

function bodyOf(response: Response, url: string, { attempt, scratch }: RangeAsked): Pick<RangeAnswer, 'read' | 'cancel'> {
  if (!response.body) throw new PassingFailure(new DownloadFailedError(`${url} answered without a body`));
  const reader = pieceReader(response.body, scratch);
  return {
    read: async () => {
      try {
        return (await attempt.wait(reader.read())).value;
      } catch (error) {
        attempt.throwIfGivenUp();
        throw new PassingFailure(attempt.signal.aborted ? (attempt.signal.reason as FrontdeskError) : new DownloadFailedError('the download broke off', { cause: error }));
      }
    },
    cancel: () => {
      reader.cancel().catch(() => undefined);
    },
  };
}

/** Reads pieces of a body; their bytes are there until the next one is read. */
interface PieceReader {
  read(): Promise<{ readonly value?: Uint8Array<ArrayBuffer> | undefined }>;
  cancel(): Promise<void>;
}

/** Where the browser can, all pieces share one buffer: else up to 64 MB of them wait for garbage collection. */
function pieceReader(body: ReadableStream<Uint8Array<ArrayBuffer>>, scratch: Scratch): PieceReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: 'byob' });
  } catch {
    return body.getReader();
  }
  return {
    read: async () => {
      // A read that was given up has taken it along.
      if (scratch.buffer.byteLength === 0) scratch.buffer = new ArrayBuffer(PIECE_BYTES);
      const { done, value } = await reader.read(new Uint8Array(scratch.buffer));
      if (value) scratch.buffer = value.buffer;
      return done || !value ? {} : { value };
    },
    cancel: () => reader.cancel(),
  };
}
