/** Fetches a model file and verifies its length and hash while it arrives (worker only). */
import { LinkedAbort, raceAbort } from './abort.js';
import type { Sha256 } from './engine_module.js';
import { DownloadFailedError, HashMismatchError, LengthMismatchError } from './errors.js';
import type { LoadProgress, ModelFile } from './protocol.js';

export interface DownloadOptions {
  readonly createHash: () => Sha256;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
  /** Milliseconds without a byte after which the download is given up; default one minute. */
  readonly stallMs?: number;
}

const PROGRESS_STEP_BYTES = 512 * 1024;
const PIECE_BYTES = 1024 * 1024;
const STALL_MS = 60_000;
/** No larger file can be read; a server could send for ever where the length is not known. */
const LONGEST_UNKNOWN_BYTES = 4 * 2 ** 30;

/** Where downloaded bytes go. */
export interface Writer {
  write(bytes: Uint8Array<ArrayBuffer>): void;
}

/** Fetches the file into the writer; rejects with a typed error, or with `signal.reason` when aborted. */
export async function download(model: ModelFile, options: DownloadOptions, writer: Writer): Promise<void> {
  const patience = new Patience(options);
  try {
    await receive(await fetchModel(model, patience), { model, options, writer, patience });
  } finally {
    patience.end();
  }
}

type ModelResponse = Response & { readonly body: ReadableStream<Uint8Array<ArrayBuffer>> };

async function receive(
  response: ModelResponse,
  { model, options, writer, patience }: { model: ModelFile; options: DownloadOptions; writer: Writer; patience: Patience },
): Promise<void> {
  const { createHash, onProgress } = options;
  const reader = pieceReader(response.body);
  const total = model.bytes ?? Number(response.headers.get('content-length') ?? 0);
  const hash = createHash();
  let spent = false;
  let loaded = 0;
  let reported = 0;
  onProgress({ phase: 'download', loaded, total });
  try {
    for (;;) {
      const { done, value } = await readPiece(reader, { patience, loaded });
      if (done) break;
      loaded += value.byteLength;
      if (model.bytes !== undefined && loaded > model.bytes) throw lengthMismatch(model.bytes, loaded);
      if (loaded > LONGEST_UNKNOWN_BYTES) throw tooLong(loaded);
      writer.write(value);
      hash.update(value);
      if (loaded - reported >= PROGRESS_STEP_BYTES) {
        reported = loaded;
        onProgress({ phase: 'download', loaded, total });
      }
    }
    if (model.bytes !== undefined && loaded !== model.bytes) throw lengthMismatch(model.bytes, loaded);
    onProgress({ phase: 'download', loaded, total: loaded });
    spent = true;
    const actual = hash.finish();
    if (actual !== model.sha256) {
      const message = `${model.url} is not the file that was asked for: its SHA-256 is ${actual}, not ${model.sha256}`;
      throw new HashMismatchError(message, { details: { expected: model.sha256, actual } });
    }
  } finally {
    if (!spent) hash.free();
    reader.cancel().catch(() => undefined);
  }
}

async function fetchModel(model: ModelFile, patience: Patience): Promise<ModelResponse> {
  let response: Response;
  try {
    // The browser's own cache would hold the file a second time.
    response = await patience.wait(fetch(model.url, { signal: patience.signal, cache: 'no-store' }), 0);
  } catch (error) {
    patience.signal.throwIfAborted();
    throw new DownloadFailedError(`${model.url} could not be reached`, { cause: error });
  }
  const { ok, status, body } = response;
  if (!ok || !body) {
    throw new DownloadFailedError(`${model.url} answered with status ${status}`, { details: { status } });
  }
  return response as ModelResponse;
}

type Piece = ReadableStreamReadResult<Uint8Array<ArrayBuffer>>;

/** Reads pieces of a body; their bytes are there until the next one is read. */
interface PieceReader {
  read(): Promise<Piece>;
  cancel(): Promise<void>;
}

/** Where the browser can, all pieces share one buffer: else up to 64 MB of them wait for garbage collection. */
function pieceReader(body: ModelResponse['body']): PieceReader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = body.getReader({ mode: 'byob' });
  } catch {
    return body.getReader();
  }
  let buffer = new ArrayBuffer(PIECE_BYTES);
  return {
    read: async () => {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done || !value) return { done: true, value: undefined };
      buffer = value.buffer;
      return { done: false, value };
    },
    cancel: () => reader.cancel(),
  };
}

async function readPiece(reader: PieceReader, { patience, loaded }: { patience: Patience; loaded: number }) {
  try {
    return await patience.wait(reader.read(), loaded);
  } catch (error) {
    patience.signal.throwIfAborted();
    const message = `the download broke off after ${loaded} bytes`;
    throw new DownloadFailedError(message, { cause: error, details: { receivedBytes: loaded } });
  }
}

function lengthMismatch(expectedBytes: number, receivedBytes: number): LengthMismatchError {
  const message = `the model should be ${expectedBytes} bytes long, but ${receivedBytes} arrived`;
  return new LengthMismatchError(message, { details: { expectedBytes, receivedBytes } });
}

function tooLong(receivedBytes: number): DownloadFailedError {
  return new DownloadFailedError(`the file is longer than ${LONGEST_UNKNOWN_BYTES} bytes`, { details: { receivedBytes } });
}

/** Joins the caller's signal with a limit on the time without a byte. */
class Patience {
  readonly #abort: LinkedAbort;
  readonly #stallMs: number;

  constructor({ signal, stallMs = STALL_MS }: DownloadOptions) {
    this.#abort = new LinkedAbort(signal);
    this.#stallMs = stallMs;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Settles like `work`; rejects with the signal's reason when that aborts or `work` takes too long. */
  async wait<T>(work: Promise<T>, receivedBytes: number): Promise<T> {
    const timer = setTimeout(() => {
      const message = `the download stopped after ${receivedBytes} bytes: nothing came for ${this.#stallMs} ms`;
      this.#abort.abort(new DownloadFailedError(message, { details: { receivedBytes } }));
    }, this.#stallMs);
    try {
      return await raceAbort(work, this.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#abort.unlink();
  }
}
