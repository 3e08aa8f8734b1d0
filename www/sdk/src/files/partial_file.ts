/** A file that is being put together: in the private file system, with a journal that outlives a crash, or in memory (worker only). */
import { ModelReadError, OutOfMemoryError, StorageFullError } from '../errors.js';
import { finalName, JOURNAL_ENDING, PARTIAL_ENDING } from './model_folder.js';
import { type Journal, JournalFile, readJournal } from './journal.js';
import type { ModelFile } from '../protocol.js';

const MIB = 1024 * 1024;

/** Where chunks go, in any order. */
export interface PartialFile {
  /** What an earlier attempt left; its chunks are yet to be verified. */
  readonly journal: Journal | undefined;
  /** Begins anew; takes the room for the whole file where its length is known. */
  begin(journal: Omit<Journal, 'chunks'>): void;
  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void;
  read(offset: number, into: Uint8Array<ArrayBuffer>): void;
  /** Notes that a chunk is there and right. */
  note(index: number, sha256: string): void;
}

/** Lies under a temporary name in the folder, locked against other tabs. */
export class OpfsPartial implements PartialFile {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #file: FileSystemFileHandle;
  readonly #handle: FileSystemSyncAccessHandle;
  readonly #journalFile: JournalFile;
  readonly #model: ModelFile;
  journal: Journal | undefined;
  #hasChunks: boolean;

  private constructor(parts: { folder: FileSystemDirectoryHandle; file: FileSystemFileHandle; handle: FileSystemSyncAccessHandle; journalFile: JournalFile; model: ModelFile; journal: Journal | undefined }) {
    this.#folder = parts.folder;
    this.#file = parts.file;
    this.#handle = parts.handle;
    this.#journalFile = parts.journalFile;
    this.#model = parts.model;
    this.journal = parts.journal;
    this.#hasChunks = (parts.journal?.chunks.size ?? 0) > 0;
  }

  /** Rejects where the browser cannot write such files, or another tab is writing this one. */
  static async open(folder: FileSystemDirectoryHandle, model: ModelFile): Promise<OpfsPartial> {
    const file = await folder.getFileHandle(`${model.sha256}${PARTIAL_ENDING}`, { create: true });
    if (!file.createSyncAccessHandle || !file.move) throw new Error('this browser cannot write files from a worker');
    const handle = await file.createSyncAccessHandle();
    try {
      const name = `${model.sha256}${JOURNAL_ENDING}`;
      const found = await readJournal(folder, name);
      const journal = found?.bytes === handle.getSize() ? found : undefined;
      return new OpfsPartial({ folder, file, handle, model, journal, journalFile: await JournalFile.open(folder, name) });
    } catch (error) {
      handle.close();
      throw error;
    }
  }

  /** Takes the room for so many bytes; false where there is none, and the file stays as it is. */
  reserve(bytes: number): boolean {
    if (this.#handle.getSize() === bytes) return true;
    try {
      this.#handle.truncate(bytes);
    } catch (error) {
      if (!isQuotaError(error)) throw error;
    }
    // Chromium does not throw; it leaves the file as it was.
    return this.#handle.getSize() === bytes;
  }

  /** How much of so many bytes there is no room for, to a mebibyte. */
  missingBytes(bytes: number): number {
    const before = this.#handle.getSize();
    let [fits, tooMuch] = [0, Math.ceil(bytes / MIB)];
    while (tooMuch - fits > 1) {
      const middle = Math.floor((fits + tooMuch) / 2);
      if (this.reserve(middle * MIB)) fits = middle;
      else tooMuch = middle;
    }
    this.#handle.truncate(before);
    return bytes - fits * MIB;
  }

  begin(journal: Omit<Journal, 'chunks'>): void {
    this.journal = undefined;
    this.#hasChunks = false;
    this.#journalFile.begin(journal);
    if (!this.reserve(journal.bytes)) throw storageFull(journal.bytes);
  }

  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    try {
      // Chromium does not throw where the disk is full; it tells of a senseless length.
      if (this.#handle.write(bytes, { at: offset }) !== bytes.byteLength) throw storageFull();
    } catch (error) {
      throw isQuotaError(error) ? storageFull() : error;
    }
  }

  read(offset: number, into: Uint8Array<ArrayBuffer>): void {
    if (this.#handle.read(into, { at: offset }) !== into.byteLength) throw new ModelReadError('what was downloaded cannot be read back');
  }

  note(index: number, sha256: string): void {
    // The chunk first: a journal must not tell of bytes that a power cut took.
    this.#handle.flush();
    this.#journalFile.append(index, sha256);
    this.#hasChunks = true;
  }

  /** Gives the file its final name; only for bytes that were verified. */
  async keep(): Promise<FileSystemFileHandle> {
    this.#handle.flush();
    this.#handle.close();
    await this.#file.move?.(finalName(this.#model));
    await this.#journalFile.remove();
    return this.#folder.getFileHandle(finalName(this.#model));
  }

  /** Lets go of the file: what was verified stays for the next attempt, a file without any goes. */
  async leave(): Promise<void> {
    if (!this.#hasChunks) return this.discard();
    this.#handle.close();
    this.#journalFile.close();
  }

  async discard(): Promise<void> {
    this.#handle.close();
    await this.#journalFile.remove();
    // Where even this fails, the next download begins anew.
    await this.#folder.removeEntry(this.#file.name).catch(() => undefined);
  }
}

/** Keeps the bytes in memory, for browsers without a usable file system. */
export class MemoryPartial implements PartialFile {
  readonly journal = undefined;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #length = 0;

  begin({ bytes }: Omit<Journal, 'chunks'>): void {
    this.#bytes = allocate(bytes);
    this.#length = 0;
  }

  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    const needed = offset + bytes.byteLength;
    if (needed > this.#bytes.byteLength) {
      const larger = allocate(Math.max(needed, this.#bytes.byteLength * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, offset);
    this.#length = Math.max(this.#length, needed);
  }

  read(offset: number, into: Uint8Array<ArrayBuffer>): void {
    into.set(this.#bytes.subarray(offset, offset + into.byteLength));
  }

  note(): void {
    // Memory does not outlive the worker.
  }

  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw new OutOfMemoryError(`there is no memory for the model's ${bytes} bytes`, { cause: error });
  }
}

/** The error of a device without room; `missingBytes` where that is known. */
export function storageFull(neededBytes?: number, missingBytes?: number): StorageFullError {
  const amount = neededBytes === undefined ? '' : `, which takes ${neededBytes} bytes`;
  const missing = missingBytes === undefined ? '' : `: ${missingBytes} bytes are missing`;
  const details = { ...(neededBytes !== undefined && { neededBytes }), ...(missingBytes !== undefined && { missingBytes }) };
  return new StorageFullError(`the device has no room for the model${amount}${missing}`, { details });
}

/** Whether the browser has no room. */
export function isQuotaError(error: unknown): boolean {
  return error instanceof Error && error.name === 'QuotaExceededError';
}
