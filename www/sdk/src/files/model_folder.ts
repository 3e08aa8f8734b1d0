/** Where model files lie on the device: names in the origin private file system. */
import type { ModelFile } from '../protocol.js';

const FOLDER = 'frontdesk-models';

/** A whole file, whose length and hash were found right. */
export const MODEL_ENDING = '.gguf';
/** A file that is still being written. */
export const PARTIAL_ENDING = '.part';
/** What is known of a file that is still being written. */
export const JOURNAL_ENDING = '.journal';
/** When a whole file was kept and last used. */
export const NOTE_ENDING = '.json';

/** A file has this name only once its length and hash were found right. */
export function finalName(model: Pick<ModelFile, 'sha256'>): string {
  return `${model.sha256}${MODEL_ENDING}`;
}

/** The folder; rejects where the browser has no such file system or denies it. */
export async function openModelFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}

/** The file under its final name, if it is there and of the right length. */
export async function findModelFile(folder: FileSystemDirectoryHandle, model: Pick<ModelFile, 'sha256' | 'bytes'>): Promise<FileSystemFileHandle | undefined> {
  const handle = await findFile(folder, finalName(model));
  if (!handle || model.bytes === undefined) return handle;
  const { size } = await handle.getFile();
  return size === model.bytes ? handle : undefined;
}

/** The file of this name, if there is one. */
export async function findFile(folder: FileSystemDirectoryHandle, name: string): Promise<FileSystemFileHandle | undefined> {
  try {
    return await folder.getFileHandle(name);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
}
