/** Where tasks lie on the device: names and versions in the origin private file system (worker only). */
import { StorageFullError } from './errors.js';
import { PARTIAL_ENDING } from './files/model_folder.js';

const FOLDER = 'frontdesk-tasks';
const ENDING = '.fdtask';

/** A task's file: the one in use is version 0, the one before it 1, and so on. */
export interface TaskFile {
  readonly name: string;
  readonly version: number;
}

/** The task's file, if there is one. */
export async function readTask(task: TaskFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const folder = await findFolder();
  return ifFound(async () => {
    const handle = await folder?.getFileHandle(fileName(task));
    const file = await handle?.getFile();
    return file && new Uint8Array(await file.arrayBuffer());
  });
}

/**
 * Keeps the file in the place of an earlier one, which stays as it is where this fails. False where the browser
 * has no file system that a worker can write to.
 */
export async function keepTask(task: TaskFile, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const opened = await openPartial(fileName(task));
  if (!opened) return false;
  const { folder, file, handle } = opened;
  try {
    try {
      // Chromium does not throw where the disk is full; it tells of another length.
      if (handle.write(bytes, { at: 0 }) !== bytes.byteLength) throw storageFull(bytes);
      handle.flush();
    } finally {
      handle.close();
    }
    await file.move?.(fileName(task));
    return true;
  } catch (error) {
    await folder.removeEntry(file.name).catch(() => undefined);
    throw error instanceof DOMException && error.name === 'QuotaExceededError' ? storageFull(bytes, error) : error;
  }
}

interface Partial {
  readonly folder: FileSystemDirectoryHandle;
  readonly file: FileSystemFileHandle;
  readonly handle: FileSystemSyncAccessHandle;
}

/** A file beside the final one, to be written and then renamed. */
async function openPartial(name: string): Promise<Partial | undefined> {
  try {
    const folder = await openFolder();
    const file = await folder.getFileHandle(`${name}${PARTIAL_ENDING}`, { create: true });
    if (!file.createSyncAccessHandle || !file.move) return undefined;
    return { folder, file, handle: await file.createSyncAccessHandle() };
  } catch (error) {
    if (error instanceof DOMException && error.name === 'QuotaExceededError') throw new StorageFullError('the device has no room for the task', { cause: error });
    return undefined;
  }
}

function storageFull({ byteLength }: Uint8Array, cause?: unknown): StorageFullError {
  return new StorageFullError(`the device has no room for the task, which takes ${byteLength} bytes`, { cause, details: { neededBytes: byteLength } });
}

/** Removes the file, if there is one. */
export async function removeTask(task: TaskFile): Promise<void> {
  const folder = await findFolder();
  await ifFound(async () => folder?.removeEntry(fileName(task)));
}

/** Nothing where there is no such file; other failures are the caller's to know of. */
async function ifFound<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}

/** Nothing where the browser has no such file system or denies it: nothing can have been kept then. */
function findFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  return openFolder().catch(() => undefined);
}

/** Any text as a name that file systems take. */
function fileName({ name, version }: TaskFile): string {
  return `${encodeURIComponent(name).replaceAll('*', '%2A')}${ENDING}${version === 0 ? '' : `-${version}`}`;
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}
