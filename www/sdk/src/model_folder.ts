/** Where model files lie on the device: names in the origin private file system. */
import type { ModelFile } from './protocol.js';

const FOLDER = 'frontdesk-models';

/** Ending of files that are still being written; they are removed before the next download. */
export const PARTIAL_ENDING = '.part';

/** A file has this name only once its length and hash were found right. */
export function finalName(model: Pick<ModelFile, 'sha256'>): string {
  return `${model.sha256}.gguf`;
}

/** The folder; rejects where the browser has no such file system or denies it. */
export async function openModelFolder(): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create: true });
}

/** The file under its final name, if it is there and of the right length. */
export async function findModelFile(folder: FileSystemDirectoryHandle, model: ModelFile): Promise<FileSystemFileHandle | undefined> {
  let handle: FileSystemFileHandle;
  try {
    handle = await folder.getFileHandle(finalName(model));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
    throw error;
  }
  const { size } = await handle.getFile();
  return model.bytes === undefined || size === model.bytes ? handle : undefined;
}
