/** Puts a file together from chunks in any order, and verifies each of them and the whole (worker only). */
import type { Chunk, ChunkPlan } from './chunks.js';
import type { Sha256 } from '../engine_module.js';
import { HashMismatchError } from '../errors.js';
import { hashOf } from './hashing.js';
import type { PartialFile } from './partial_file.js';
import type { ModelFile } from '../protocol.js';

const PIECE_BYTES = 1024 * 1024;

/** A file in the making, whose length is known. */
export class Assembly {
  readonly plan: ChunkPlan;
  readonly #model: ModelFile;
  readonly #file: PartialFile;
  readonly #createHash: () => Sha256;
  readonly #piece = new Uint8Array(PIECE_BYTES);
  #hash: Sha256 | undefined;
  /** The first chunk that the hash of the whole has not taken in. */
  #next = 0;
  #hasBegun = false;
  #etag: string | undefined;

  constructor(model: ModelFile, plan: ChunkPlan, parts: { readonly file: PartialFile; readonly createHash: () => Sha256 }) {
    this.#model = model;
    this.plan = plan;
    this.#file = parts.file;
    this.#createHash = parts.createHash;
  }

  /** Verifies what an earlier attempt left. */
  async resume(signal: AbortSignal): Promise<void> {
    const { journal } = this.#file;
    const { plan } = this;
    if (journal?.bytes !== plan.bytes || journal.chunkBytes !== plan.chunkBytes) return;
    const buffer = new Uint8Array(plan.chunkBytes);
    for (const chunk of plan.chunks) {
      const noted = journal.chunks.get(chunk.index);
      if (noted === undefined || (chunk.sha256 ?? noted) !== noted) continue;
      const part = buffer.subarray(0, chunk.end - chunk.start);
      this.#file.read(chunk.start, part);
      if ((await hashOf(part, this.#createHash)) === noted) plan.markVerified(chunk);
      signal.throwIfAborted();
    }
    this.#hasBegun = plan.verifiedBytes > 0;
    if (this.#hasBegun) this.#etag = journal.etag;
  }

  /** Whether an answer of this version of the file has a place here; `etag` is what the server calls it. */
  admits(etag: string | undefined): boolean {
    if (!this.#hasBegun) {
      const { bytes, chunkBytes } = this.plan;
      this.#file.begin({ bytes, chunkBytes, ...(etag !== undefined && { etag }) });
      this.#hasBegun = true;
    }
    this.#etag ??= etag;
    // Where each chunk's hash is known, it does not matter where a chunk comes from.
    return this.#model.chunks !== undefined || etag === undefined || etag === this.#etag;
  }

  /** Keeps a chunk that is right; of one that is not, resolves with its hash. */
  async accept(chunk: Chunk, bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined> {
    const actual = await hashOf(bytes, this.#createHash);
    if (chunk.sha256 !== undefined && actual !== chunk.sha256) return actual;
    this.#file.write(chunk.start, bytes);
    this.#file.note(chunk.index, actual);
    this.plan.markVerified(chunk);
    this.#advance();
    return undefined;
  }

  /** Throws where the whole is not what was asked for. */
  verify(): void {
    this.#advance();
    const hash = this.#whole;
    this.#hash = undefined;
    checkHash(this.#model, hash.finish());
  }

  free(): void {
    this.#hash?.free();
    this.#hash = undefined;
  }

  get #whole(): Sha256 {
    return (this.#hash ??= this.#createHash());
  }

  /** Takes in the chunks that have become next. They are read back: what is hashed is what will be opened. */
  #advance(): void {
    const { plan } = this;
    for (let chunk = plan.chunks[this.#next]; chunk && plan.isVerified(chunk); chunk = plan.chunks[this.#next]) {
      for (let offset = chunk.start; offset < chunk.end; offset += PIECE_BYTES) {
        const part = this.#piece.subarray(0, Math.min(PIECE_BYTES, chunk.end - offset));
        this.#file.read(offset, part);
        this.#whole.update(part);
      }
      this.#next += 1;
    }
  }
}

/** Throws where the file's hash is not the model's. */
export function checkHash({ id, url = id, sha256: expected }: ModelFile, actual: string): void {
  if (actual === expected) return;
  throw new HashMismatchError(`${url} is not the file that was asked for: its SHA-256 is ${actual}, not ${expected}`, { details: { expected, actual } });
}
