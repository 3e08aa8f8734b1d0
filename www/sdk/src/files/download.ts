/** Fetches a model file until it is whole and right: in chunks, several at a time, or in one stream where a server knows no ranges (worker only). */
import { LinkedAbort } from '../abort.js';
import { Assembly, checkHash } from './assembly.js';
import { ChunkBuffer, ChunkPlan } from './chunks.js';
import type { Sha256 } from '../engine_module.js';
import { DownloadFailedError, HashMismatchError, LengthMismatchError } from '../errors.js';
import type { PartialFile } from './partial_file.js';
import { Patience } from './patience.js';
import { Progress } from './progress.js';
import type { LoadProgress, ModelFile } from '../protocol.js';
import { PassingFailure, type RangeAnswer, type RangeAsked, requestRange, type Scratch } from './range_request.js';
import { retry } from './retry.js';

export interface DownloadOptions {
  readonly createHash: () => Sha256;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
  /** Milliseconds without a byte after which a request is given up; default one minute. */
  readonly stallMs?: number;
  /** Milliseconds before the first further attempt, doubled each time; default a quarter of a second. */
  readonly retryMs?: number;
}

type Fetchable = ModelFile & { readonly url: string };

/** Fewer leave a fast connection idle between requests; browsers allow six to a host. */
const LANES = 4;
/** No larger file can be read; a server could send for ever where the length is not known. */
const LONGEST_UNKNOWN_BYTES = 4 * 2 ** 30;

/**
 * Puts the file together; what an earlier attempt left there is verified and not fetched again. Resolves once its SHA-256 is
 * right; rejects with a typed error, or with `signal.reason` when aborted.
 */
export async function download(model: ModelFile, options: DownloadOptions, file: PartialFile): Promise<void> {
  const { id, url } = model;
  if (url === undefined) throw new DownloadFailedError(`${id} is not on this device, and it has no address to fetch it from`);
  const fetchable = { ...model, url };
  const bytes = model.bytes ?? file.journal?.bytes ?? (await askLength(url, options));
  if (bytes === undefined) return downloadUnknown(fetchable, options, file);
  const begin = (length: number) => new ChunkedDownload(fetchable, options, new Assembly(model, new ChunkPlan(length, model.chunks), { file, createHash: options.createHash }));
  try {
    await begin(bytes).run({ resume: true });
  } catch (error) {
    if (!(error instanceof FileChanged)) throw error;
    // Parts of two versions of a file are no file: now all comes from one answer.
    if (model.bytes === undefined) await downloadUnknown(fetchable, options, file);
    else await begin(model.bytes).run({ asWhole: true });
  }
}

/** The server's file is no longer the one that was begun with. */
class FileChanged extends DownloadFailedError {}

/** Fetches a file whose length is known. */
class ChunkedDownload {
  readonly #model: Fetchable;
  readonly #options: DownloadOptions;
  readonly #assembly: Assembly;
  readonly #progress: Progress;
  /** Whether an answer brings the whole file, as from servers that know no ranges. */
  #asWhole = false;

  constructor(model: Fetchable, options: DownloadOptions, assembly: Assembly) {
    this.#model = model;
    this.#options = options;
    this.#assembly = assembly;
    this.#progress = new Progress(options.onProgress, assembly.plan.bytes);
  }

  async run({ resume = false, asWhole = false }): Promise<void> {
    const { signal, stallMs } = this.#options;
    const { plan } = this.#assembly;
    const abort = new LinkedAbort(signal);
    const patience = new Patience(abort.signal, stallMs);
    const lanes: Promise<void>[] = [];
    this.#asWhole = asWhole;
    try {
      if (resume) await this.#assembly.resume(signal);
      this.#progress.begin(plan.verifiedBytes);
      // The first answer shows whether the server knows ranges; the other lanes wait for it.
      const start = (onRange?: () => void) => {
        const lane = this.#lane(patience, onRange);
        // One that fails while the first is waited for is heard of all the same.
        lane.catch(() => undefined);
        lanes.push(lane);
      };
      start(() => {
        while (lanes.length < LANES) start();
      });
      await lanes[0];
      await Promise.all(lanes);
      this.#assembly.verify();
      this.#progress.end(plan.bytes);
    } catch (error) {
      abort.abort(error);
      throw error;
    } finally {
      // None may write to a file that others have closed.
      await Promise.allSettled(lanes);
      abort.unlink();
      this.#assembly.free();
    }
  }

  /** Fetches chunks until none is left; calls `onRange` when a server knows what that is. */
  async #lane(patience: Patience, onRange?: () => void): Promise<void> {
    const { plan } = this.#assembly;
    const memory = new Uint8Array(plan.chunkBytes);
    const asking = { patience, scratch: newScratch() };
    for (let chunk = plan.claim(); chunk; chunk = plan.claim()) {
      const buffer = new ChunkBuffer(chunk, memory);
      const work = () => this.#fetch(buffer, asking, onRange);
      const received = () => (this.#asWhole ? this.#progress.received : buffer.length);
      await retry(work, { patience, retryMs: this.#options.retryMs, received });
    }
  }

  /** True once the chunk is there; all others are too, where the server sent everything. */
  async #fetch(buffer: ChunkBuffer, asking: Asking, onRange?: () => void): Promise<boolean> {
    if (this.#assembly.plan.isVerified(buffer.chunk)) return true;
    const range = this.#asWhole ? undefined : buffer.missing;
    return request(this.#model.url, { ...asking, range }, async (answer) => {
      this.#check(answer);
      if (answer.isWhole) return this.#readWhole(answer);
      onRange?.();
      return this.#readChunk(answer, buffer);
    });
  }

  /** Compares what the answer's head says with what is known. */
  #check({ isWhole, bytes, etag }: RangeAnswer): void {
    const { plan } = this.#assembly;
    const { url, bytes: expected } = this.#model;
    // A whole answer may have been compressed for its way; its bytes are counted instead.
    if (isWhole) this.#asWhole = true;
    else if (bytes !== undefined && bytes !== plan.bytes) {
      throw expected === undefined ? new FileChanged(`the length of ${url} changes`) : lengthMismatch(expected, bytes);
    }
    if (!this.#assembly.admits(etag)) throw new FileChanged(`${url} changes while it is fetched`);
  }

  async #readChunk(answer: RangeAnswer, buffer: ChunkBuffer): Promise<boolean> {
    for (let piece = await answer.read(); piece; piece = await answer.read()) {
      this.#progress.add(piece.byteLength);
      const surplus = buffer.take(piece).byteLength;
      if (surplus > 0) throw lengthMismatch(buffer.bytes.byteLength, buffer.length + surplus);
    }
    return buffer.isFull && this.#keep(buffer);
  }

  /** Reads an answer that is the whole file; chunks that are there already pass by. */
  async #readWhole(answer: RangeAnswer): Promise<boolean> {
    const { plan } = this.#assembly;
    const memory = new Uint8Array(plan.chunkBytes);
    let arrived = 0;
    let surplus: Uint8Array<ArrayBuffer> | undefined;
    for (const chunk of plan.chunks) {
      const isNew = !plan.isVerified(chunk);
      const buffer = new ChunkBuffer(chunk, memory);
      try {
        while (!buffer.isFull) {
          const piece = surplus ?? (await answer.read());
          if (!piece) throw lengthMismatch(plan.bytes, arrived);
          surplus = buffer.take(piece);
          const taken = piece.byteLength - surplus.byteLength;
          if (surplus.byteLength === 0) surplus = undefined;
          arrived += taken;
          if (isNew) this.#progress.add(taken);
        }
      } catch (error) {
        // The next attempt brings these bytes again.
        if (isNew) this.#progress.take(buffer.length);
        throw error;
      }
      if (isNew) await this.#keep(buffer);
    }
    surplus ??= await answer.read();
    if (surplus) throw lengthMismatch(plan.bytes, arrived + surplus.byteLength);
    return true;
  }

  /** Keeps a chunk; one that is wrong is emptied, to be fetched again. */
  async #keep(buffer: ChunkBuffer): Promise<true> {
    const { chunk, bytes } = buffer;
    const actual = await this.#assembly.accept(chunk, bytes);
    if (actual === undefined) return true;
    buffer.empty();
    this.#progress.take(bytes.byteLength);
    const expected = chunk.sha256 ?? '';
    const message = `${this.#model.url} is not the file that was asked for: the SHA-256 of its chunk ${chunk.index} is ${actual}, not ${expected}`;
    throw new PassingFailure(new HashMismatchError(message, { details: { expected, actual, chunk: chunk.index } }));
  }
}

/** Fetches a file of unknown length in one stream; nothing of it can be resumed. */
async function downloadUnknown(model: Fetchable, options: DownloadOptions, file: PartialFile): Promise<void> {
  const { signal, stallMs, retryMs, onProgress, createHash } = options;
  const patience = new Patience(signal, stallMs);
  const progress = new Progress(onProgress, 0);
  const readAll = async (answer: RangeAnswer) => {
    const hash = createHash();
    let isSpent = false;
    try {
      file.begin({ bytes: 0, chunkBytes: 0 });
      progress.begin(0, answer.bytes);
      for (let piece = await answer.read(), offset = 0; piece; piece = await answer.read()) {
        if (offset + piece.byteLength > LONGEST_UNKNOWN_BYTES) throw tooLong(offset + piece.byteLength);
        file.write(offset, piece);
        hash.update(piece);
        progress.add(piece.byteLength);
        offset += piece.byteLength;
      }
      isSpent = true;
      checkHash(model, hash.finish());
      return true;
    } finally {
      if (!isSpent) hash.free();
    }
  };
  progress.begin(0);
  const asking = { patience, scratch: newScratch(), range: undefined };
  await retry(() => request(model.url, asking, readAll), { patience, retryMs, received: () => progress.received });
  progress.end(progress.received);
}

/** The length of the file, where the server tells it without sending the file. */
async function askLength(url: string, { signal, stallMs, retryMs }: DownloadOptions): Promise<number | undefined> {
  const patience = new Patience(signal, stallMs);
  let length: number | undefined;
  const ask = () =>
    request(url, { patience, scratch: newScratch(), range: { start: 0, end: 1 } }, ({ isWhole, bytes }) => {
      if (!isWhole) length = bytes;
      return Promise.resolve(true);
    });
  await retry(ask, { patience, retryMs, received: () => 0 });
  return length !== undefined && length > 0 && length <= LONGEST_UNKNOWN_BYTES ? length : undefined;
}

/** What the requests of a lane share. */
interface Asking {
  readonly patience: Patience;
  readonly scratch: Scratch;
}

/** Memory is taken when there is something to read. */
function newScratch(): Scratch {
  return { buffer: new ArrayBuffer(0) };
}

async function request<T>(url: string, { patience, ...asked }: Asking & Pick<RangeAsked, 'range'>, read: (answer: RangeAnswer) => Promise<T>): Promise<T> {
  const attempt = patience.begin();
  let answer: RangeAnswer | undefined;
  try {
    answer = await requestRange(url, { ...asked, attempt });
    return await read(answer);
  } finally {
    answer?.cancel();
    attempt.end();
  }
}

function lengthMismatch(expectedBytes: number, receivedBytes: number): LengthMismatchError {
  const message = `the model should be ${expectedBytes} bytes long, but ${receivedBytes} arrived`;
  return new LengthMismatchError(message, { details: { expectedBytes, receivedBytes } });
}

function tooLong(receivedBytes: number): DownloadFailedError {
  return new DownloadFailedError(`the file is longer than ${LONGEST_UNKNOWN_BYTES} bytes`, { details: { receivedBytes } });
}
