/** Has a model file fetched and verified, keeps it on the device and opens it for reading (worker only). */
import { download, type DownloadOptions, type Writer } from './download.js';
import type { ByteSource, Sha256 } from './engine_module.js';
import { FrontdeskError, ModelReadError, StorageFullError } from './errors.js';
import { finalName, findModelFile, openModelFolder, PARTIAL_ENDING } from './model_folder.js';
import type { ModelFile } from './protocol.js';

/** A verified model file; close it once it has been read. */
export interface OpenedModel extends ByteSource {
  /** False where the file could not be kept and will be fetched again. */
  readonly cached: boolean;
  /** Why `cached` is false, for people. */
  readonly warning?: string;
  close(): void;
}

/**
 * Opens the model from the device, or downloads it first. A file has its final name only after its
 * length and hash were found right; whatever fails before that leaves nothing behind.
 */
export async function openModel(model: ModelFile, options: DownloadOptions): Promise<OpenedModel> {
  let folder: FileSystemDirectoryHandle;
  try {
    folder = await openModelFolder();
    const kept = await findModelFile(folder, model);
    if (kept) return await openKept(kept);
    await removePartials(folder);
  } catch (error) {
    return downloadToMemory(model, options, error);
  }
  const writer = await OpfsWriter.create(folder, model).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  if (writer instanceof Error) return downloadToMemory(model, options, writer);
  try {
    await checkEstimate(model);
    if (model.bytes !== undefined) writer.reserve(model.bytes);
    await download(model, options, writer);
    return await openKept(await writer.keep());
  } catch (error) {
    await writer.discard();
    if (options.signal.aborted || FrontdeskError.isInstance(error)) throw error;
    return downloadToMemory(model, options, error);
  }
}

/** Removes the file under its final name, e.g. because it was found damaged. */
export async function forgetModel(model: ModelFile): Promise<void> {
  const folder = await openModelFolder();
  await folder.removeEntry(finalName(model));
}

/** Reads the opened file through and compares its hash; for files that were kept long ago. */
export function isIntact(source: ByteSource, model: ModelFile, hash: Sha256): boolean {
  const piece = new Uint8Array(1024 * 1024);
  for (let offset = 0; offset < source.size; offset += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, source.size - offset));
    source.read(offset, part);
    hash.update(part);
  }
  return hash.finish() === model.sha256;
}

/** Refuses early what is known not to fit; some browsers tell everybody the same, generous numbers. */
async function checkEstimate({ bytes }: ModelFile): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate();
  if (bytes === undefined || quota === undefined || usage === undefined) return;
  const missingBytes = bytes - (quota - usage);
  if (missingBytes > 0) throw storageFull({ neededBytes: bytes, missingBytes });
}

function storageFull(details: { readonly neededBytes?: number; readonly missingBytes?: number } = {}): StorageFullError {
  const amount = details.neededBytes === undefined ? '' : `, which takes ${details.neededBytes} bytes`;
  return new StorageFullError(`the device has no room for the model${amount}`, { details });
}

function isQuotaError(error: unknown): boolean {
  return error instanceof Error && error.name === 'QuotaExceededError';
}

/** Writes under a temporary name in the folder. */
class OpfsWriter implements Writer {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #file: FileSystemFileHandle;
  readonly #handle: FileSystemSyncAccessHandle;
  readonly #model: ModelFile;
  #offset = 0;

  private constructor(folder: FileSystemDirectoryHandle, file: FileSystemFileHandle, handle: FileSystemSyncAccessHandle, model: ModelFile) {
    this.#folder = folder;
    this.#file = file;
    this.#handle = handle;
    this.#model = model;
  }

  static async create(folder: FileSystemDirectoryHandle, model: ModelFile): Promise<OpfsWriter> {
    const file = await folder.getFileHandle(`${model.sha256}.${crypto.randomUUID()}${PARTIAL_ENDING}`, { create: true });
    if (!file.createSyncAccessHandle || !file.move) throw new Error('this browser cannot write files from a worker');
    return new OpfsWriter(folder, file, await file.createSyncAccessHandle(), model);
  }

  /** Takes the room for the whole file before anything is fetched. */
  reserve(neededBytes: number): void {
    try {
      this.#handle.truncate(neededBytes);
    } catch (error) {
      throw isQuotaError(error) ? storageFull({ neededBytes }) : error;
    }
    // Chromium does not throw; it leaves the file as it was.
    if (this.#handle.getSize() !== neededBytes) throw storageFull({ neededBytes });
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    try {
      // Chromium does not throw where the disk is full; it tells of a senseless length.
      if (this.#handle.write(bytes, { at: this.#offset }) !== bytes.byteLength) throw storageFull();
    } catch (error) {
      throw isQuotaError(error) ? storageFull() : error;
    }
    this.#offset += bytes.byteLength;
  }

  /** Gives the file its final name; only for bytes that were verified. */
  async keep(): Promise<FileSystemFileHandle> {
    this.#handle.flush();
    this.#handle.close();
    await this.#file.move?.(finalName(this.#model));
    return this.#folder.getFileHandle(finalName(this.#model));
  }

  async discard(): Promise<void> {
    this.#handle.close();
    // Where even this fails, the next download tries again.
    await this.#folder.removeEntry(this.#file.name).catch(() => undefined);
  }
}

/** Keeps the bytes in memory, for browsers without a usable file system. */
class MemoryWriter implements Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(expectedBytes: number) {
    this.#bytes = new Uint8Array(expectedBytes);
  }

  write(bytes: Uint8Array): void {
    const needed = this.#length + bytes.byteLength;
    if (needed > this.#bytes.byteLength) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

async function downloadToMemory(model: ModelFile, options: DownloadOptions, why: unknown): Promise<OpenedModel> {
  options.signal.throwIfAborted();
  const writer = new MemoryWriter(model.bytes ?? 1024 * 1024);
  await download(model, options, writer);
  const warning = `the model could not be kept on this device and will be fetched again: ${String(why)}`;
  return { ...fromMemory(writer.written), cached: false, warning };
}

async function openKept(file: FileSystemFileHandle): Promise<OpenedModel> {
  // Another tab may hold the file; reading it whole always works.
  const handle = await file.createSyncAccessHandle?.({ mode: 'read-only' }).catch(() => undefined);
  if (!handle) return { ...fromMemory(new Uint8Array(await (await file.getFile()).arrayBuffer())), cached: true };
  return {
    cached: true,
    size: handle.getSize(),
    read(offset, into) {
      if (handle.read(into, { at: offset }) !== into.byteLength) throw new ModelReadError('the kept model file ends too early');
    },
    close() {
      handle.close();
    },
  };
}

function fromMemory(bytes: Uint8Array): Omit<OpenedModel, 'cached' | 'warning'> {
  return {
    size: bytes.byteLength,
    read(offset, into) {
      if (offset + into.byteLength > bytes.byteLength) throw new ModelReadError('read beyond the end of the model file');
      into.set(bytes.subarray(offset, offset + into.byteLength));
    },
    close() {
      // Garbage collection frees the bytes.
    },
  };
}

async function removePartials(folder: FileSystemDirectoryHandle): Promise<void> {
  for await (const name of folder.keys()) {
    if (!name.endsWith(PARTIAL_ENDING)) continue;
    // Another tab may be writing it: then it is locked and stays.
    await folder.removeEntry(name).catch(() => undefined);
  }
}
