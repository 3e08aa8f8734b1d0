/** A file in chunks: which there are, which have been verified, and which is to be fetched next. */
import type { ChunkHashes } from '../protocol.js';

/** Length of a chunk where the model's own list does not say. */
export const CHUNK_BYTES = 4 * 1024 * 1024;

/** One chunk; `end` is the byte after its last. */
export interface Chunk {
  readonly index: number;
  readonly start: number;
  readonly end: number;
  /** What it must hash to, where that is known beforehand. */
  readonly sha256?: string;
}

/** The chunks of a file of known length. */
export class ChunkPlan {
  readonly bytes: number;
  readonly chunkBytes: number;
  readonly chunks: readonly Chunk[];
  readonly #done = new Set<number>();
  readonly #claimed = new Set<number>();
  #verifiedBytes = 0;

  constructor(bytes: number, hashes?: ChunkHashes) {
    this.bytes = bytes;
    this.chunkBytes = hashes?.bytes ?? CHUNK_BYTES;
    this.chunks = Array.from({ length: Math.ceil(bytes / this.chunkBytes) }, (_, index) => {
      const start = index * this.chunkBytes;
      const sha256 = hashes?.sha256[index];
      return { index, start, end: Math.min(start + this.chunkBytes, bytes), ...(sha256 !== undefined && { sha256 }) };
    });
  }

  get verifiedBytes(): number {
    return this.#verifiedBytes;
  }

  isVerified({ index }: Chunk): boolean {
    return this.#done.has(index);
  }

  /** A chunk that is neither there nor being fetched; the caller fetches it. */
  claim(): Chunk | undefined {
    const chunk = this.chunks.find(({ index }) => !this.#done.has(index) && !this.#claimed.has(index));
    if (chunk) this.#claimed.add(chunk.index);
    return chunk;
  }

  markVerified({ index, start, end }: Chunk): void {
    if (this.#done.has(index)) return;
    this.#done.add(index);
    this.#verifiedBytes += end - start;
  }

}

/** The bytes of one chunk as they arrive, in memory that is used for one chunk after another: each of its own would wait for garbage collection. */
export class ChunkBuffer {
  readonly chunk: Chunk;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** `memory` is long enough for any chunk. */
  constructor(chunk: Chunk, memory: Uint8Array<ArrayBuffer>) {
    this.chunk = chunk;
    this.#bytes = memory.subarray(0, chunk.end - chunk.start);
  }

  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length === this.#bytes.byteLength;
  }

  /** All bytes, once it is full. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** What is yet to come. */
  get missing(): { readonly start: number; readonly end: number } {
    return { start: this.chunk.start + this.#length, end: this.chunk.end };
  }

  /** Takes as many bytes as it lacks; returns the others. */
  take(piece: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const part = piece.subarray(0, this.#bytes.byteLength - this.#length);
    this.#bytes.set(part, this.#length);
    this.#length += part.byteLength;
    return piece.subarray(part.byteLength);
  }

  empty(): void {
    this.#length = 0;
  }
}
