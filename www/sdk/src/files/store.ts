/** Has a model file fetched and verified, keeps it on the device and opens it for reading (worker only). */
import { download, type DownloadOptions } from './download.js';
import type { ByteSource, Sha256 } from '../engine_module.js';
import { FrontdeskError, ModelReadError, StorageFullError, UnsupportedBrowserError } from '../errors.js';
import { listKept, noteUse, removeKept, removeStale } from './kept_models.js';
import { findModelFile, openModelFolder } from './model_folder.js';
import { isQuotaError, MemoryPartial, OpfsPartial, storageFull } from './partial_file.js';
import type { Keeping, ModelFile } from '../protocol.js';

export interface OpenOptions extends DownloadOptions {
  /** Default `if_possible`. */
  readonly keep?: Keeping | undefined;
}

/** A verified model file; close it once it has been read. */
export interface OpenedModel extends ByteSource {
  /** False where the file could not be kept and will be fetched again. */
  readonly cached: boolean;
  /** Why `cached` is false, for people. */
  readonly warning?: string;
  close(): void;
}

/**
 * Opens the model from the device, or downloads it first. A file has its final name only after its length and hash were
 * found right. What was verified of a download that fails stays for the next one.
 */
export async function openModel(model: ModelFile, options: OpenOptions): Promise<OpenedModel> {
  const { keep = 'if_possible', signal } = options;
  try {
    const folder = await openModelFolder();
    const kept = await findModelFile(folder, model);
    if (kept) return await openKept(kept, model);
    if (keep === 'never') return await downloadToMemory(model, options);
    // Another tab may be fetching the same file: it is there when that tab is done.
    return await inTurn(model, signal, async () => {
      const meanwhile = await findModelFile(folder, model);
      return openKept(meanwhile ?? (await downloadToFolder(folder, model, options)), model);
    });
  } catch (error) {
    if (signal.aborted) throw error;
    if (FrontdeskError.isInstance(error) && !(keep === 'if_possible' && StorageFullError.isInstance(error))) throw error;
    if (keep === 'required') throw new UnsupportedBrowserError(`this browser cannot keep models: ${String(error)}`, { cause: error });
    if (keep === 'never') return downloadToMemory(model, options);
    const reason = error instanceof Error ? error.message : String(error);
    return downloadToMemory(model, options, `the model could not be kept on this device and will be fetched again: ${reason}`);
  }
}

/** Removes the file under its final name, e.g. because it was found damaged. */
export async function forgetModel({ sha256 }: ModelFile): Promise<void> {
  await removeKept(await openModelFolder(), sha256);
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

async function downloadToFolder(folder: FileSystemDirectoryHandle, model: ModelFile, options: DownloadOptions): Promise<FileSystemFileHandle> {
  await removeStale(folder);
  const partial = await OpfsPartial.open(folder, model).catch((error: unknown) => {
    // Not even an empty file.
    throw isQuotaError(error) ? storageFull(model.bytes, model.bytes) : error;
  });
  try {
    if (model.bytes !== undefined) await takeRoom(folder, partial, { ...model, bytes: model.bytes });
    await download(model, options, partial);
    return await partial.keep();
  } catch (error) {
    // Nothing of a file that turned out to be another one is worth keeping.
    if (options.signal.aborted || isInterruption(error)) await partial.leave();
    else await partial.discard();
    throw error;
  }
}

/** Whether the next attempt may go on where this one ended. */
function isInterruption(error: unknown): boolean {
  return FrontdeskError.isInstance(error) && error.code === 'download_failed';
}

/**
 * Takes the room for a file of known length, before anything is fetched; models that were used least recently make way where
 * that helps. `navigator.storage.estimate()` is not asked: some browsers tell everybody the same, generous numbers.
 */
export async function takeRoom(folder: FileSystemDirectoryHandle, partial: OpfsPartial, { sha256, bytes }: { readonly sha256: string; readonly bytes: number }): Promise<void> {
  if (partial.reserve(bytes)) return;
  const missingBytes = partial.missingBytes(bytes);
  const others = (await listKept(folder)).filter((kept) => kept.sha256 !== sha256);
  const removable = others.reduce((sum, kept) => sum + kept.bytes, 0);
  if (removable < missingBytes) throw storageFull(bytes, missingBytes - removable);
  for (const kept of others) {
    // One that another tab is reading stays.
    await removeKept(folder, kept.sha256).catch(() => undefined);
    if (partial.reserve(bytes)) return;
  }
  throw storageFull(bytes, partial.missingBytes(bytes));
}

async function downloadToMemory(model: ModelFile, options: DownloadOptions, warning?: string): Promise<OpenedModel> {
  options.signal.throwIfAborted();
  const partial = new MemoryPartial();
  await download(model, options, partial);
  return { ...fromMemory(partial.written), cached: false, ...(warning !== undefined && { warning }) };
}

/** One download of a file at a time on this device. */
async function inTurn<T>({ sha256 }: ModelFile, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  // Absent on insecure origins; then files are locked by those who write them.
  const locks = navigator.locks as LockManager | undefined;
  if (!locks) return work();
  return locks.request(`frontdesk-download:${sha256}`, { signal }, work);
}

async function openKept(file: FileSystemFileHandle, model: ModelFile): Promise<OpenedModel> {
  await noteUse(model.sha256, model.id);
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

function fromMemory(bytes: Uint8Array<ArrayBuffer>): Omit<OpenedModel, 'cached' | 'warning'> {
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
