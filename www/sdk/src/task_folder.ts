/** Where tasks lie on the device: names in the origin private file system (worker only). */
import { StorageFullError } from './errors.js';

const FOLDER = 'frontdesk-tasks';
const ENDING = '.fdtask';

/** The task's file, if there is one. */
export async function readTask(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const folder = await openFolder();
    const handle = await folder.getFileHandle(fileName(name));
    const file = await handle.getFile();
    return new Uint8Array(await file.arrayBuffer());
  } catch (error) {
    // Also where the browser has no such file system: nothing was kept then.
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}

/** Keeps the file in the place of an earlier one, which stays as it is where this fails. */
export async function keepTask(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const folder = await openFolder();
  const handle = await folder.getFileHandle(fileName(name), { create: true });
  // Written beside the old file, and put in its place when it is closed.
  const writable = await handle.createWritable();
  try {
    await writable.write(bytes);
    await writable.close();
  } catch (error) {
    await writable.abort().catch(() => undefined);
    if (error instanceof DOMException && error.name === 'QuotaExceededError') {
      throw new StorageFullError('the device has no room for the task', { cause: error, details: { neededBytes: bytes.length } });
    }
    throw error;
  }
}

/** Removes the file, if there is one. */
export async function removeTask(name: string): Promise<void> {
  try {
    const folder = await openFolder();
    await folder.removeEntry(fileName(name));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/** Any text as a name that file systems take. */
function fileName(name: string): string {
  return `${encodeURIComponent(name).replaceAll('*', '%2A')}${ENDING}`;
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}
