/** How far a download is, told to the page (worker only). */
import type { LoadProgress } from '../protocol.js';

const PROGRESS_STEP_BYTES = 512 * 1024;

/** Tells of progress in steps; never less than before. */
export class Progress {
  readonly #onProgress: (progress: LoadProgress) => void;
  #total: number;
  #loaded = 0;
  #told = 0;

  constructor(onProgress: (progress: LoadProgress) => void, total: number) {
    this.#onProgress = onProgress;
    this.#total = total;
  }

  /** Bytes that are there. */
  get received(): number {
    return this.#loaded;
  }

  begin(loaded: number, total = this.#total): void {
    this.#loaded = loaded;
    this.#total = total;
    this.#tell();
  }

  add(bytes: number): void {
    this.#loaded += bytes;
    if (this.#loaded - this.#told >= PROGRESS_STEP_BYTES) this.#tell();
  }

  /** Bytes that turned out wrong. */
  take(bytes: number): void {
    this.#loaded -= bytes;
  }

  end(bytes: number): void {
    this.#loaded = bytes;
    this.#total = bytes;
    this.#tell();
  }

  #tell(): void {
    this.#told = Math.max(this.#told, this.#loaded);
    this.#onProgress({ phase: 'download', loaded: this.#told, total: this.#total });
  }
}
