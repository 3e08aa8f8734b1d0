/** The models that are kept on the device: which, how large, when last used; both the page and the worker look here. */
import { finalName, findFile, JOURNAL_ENDING, MODEL_ENDING, NOTE_ENDING, openModelFolder, PARTIAL_ENDING } from './model_folder.js';

/** A model on the device, or the part of one that has been fetched. */
export interface StoredModel {
  /** Absent where it was kept by another version of this package that noted none. */
  readonly id?: string;
  /** Hex, lower case. */
  readonly sha256: string;
  /** Length of the whole file. */
  readonly bytes: number;
  /** False for a download that was not finished; `create()` goes on with it. */
  readonly isComplete: boolean;
  /** Unix time in milliseconds; absent for what is not complete. */
  readonly lastUsedAt?: number;
}

/** What is noted beside a model's file. */
export interface Note {
  readonly id: string;
  readonly lastUsedAt: number;
}

const NAME = /^([0-9a-f]{64})(\.gguf|\.part)$/;
/** Nobody comes back for what was left longer ago. */
const STALE_MS = 7 * 24 * 60 * 60 * 1000;

/** What is on the device, the least recently used first. */
export async function listKept(folder: FileSystemDirectoryHandle): Promise<StoredModel[]> {
  const found: StoredModel[] = [];
  for await (const [name, handle] of folder.entries()) {
    const [, sha256, ending] = NAME.exec(name) ?? [];
    if (sha256 === undefined || !isFile(handle)) continue;
    const { size: bytes } = await handle.getFile();
    if (ending === MODEL_ENDING) found.push({ sha256, bytes, isComplete: true, ...((await readNote(folder, sha256)) ?? { lastUsedAt: 0 }) });
    else if (bytes > 0) found.push({ sha256, bytes, isComplete: false });
  }
  return found.sort((left, right) => (left.lastUsedAt ?? 0) - (right.lastUsedAt ?? 0));
}

/** Removes a model and all that belongs to it; false where there was none. Rejects where a tab is using it. */
export async function removeKept(folder: FileSystemDirectoryHandle, sha256: string): Promise<boolean> {
  const models = [finalName({ sha256 }), `${sha256}${PARTIAL_ENDING}`];
  let hadOne = false;
  for (const name of [...models, `${sha256}${JOURNAL_ENDING}`, `${sha256}${NOTE_ENDING}`]) {
    if (!(await findFile(folder, name))) continue;
    await folder.removeEntry(name);
    hadOne ||= models.includes(name);
  }
  return hadOne;
}

/** Notes that a model was used now (worker only). What cannot be noted counts as used long ago. */
export async function noteUse(sha256: string, id: string): Promise<void> {
  try {
    const folder = await openModelFolder();
    const file = await folder.getFileHandle(`${sha256}${NOTE_ENDING}`, { create: true });
    const handle = await file.createSyncAccessHandle?.();
    const note: Note = { id, lastUsedAt: Date.now() };
    handle?.truncate(0);
    handle?.write(new TextEncoder().encode(JSON.stringify(note)), { at: 0 });
    handle?.close();
  } catch {
    // Another tab notes the same just now.
  }
}

/** Removes what downloads left that nobody will finish, and what earlier versions of this package left. */
export async function removeStale(folder: FileSystemDirectoryHandle, now = Date.now()): Promise<void> {
  for await (const [name, handle] of folder.entries()) {
    if (!isFile(handle) || !(name.endsWith(PARTIAL_ENDING) || name.endsWith(JOURNAL_ENDING))) continue;
    const isOurs = NAME.test(name) || name.endsWith(JOURNAL_ENDING);
    if (isOurs && now - (await handle.getFile()).lastModified < STALE_MS) continue;
    // Another tab may be writing it: then it is locked and stays.
    await folder.removeEntry(name).catch(() => undefined);
  }
}

async function readNote(folder: FileSystemDirectoryHandle, sha256: string): Promise<Note | undefined> {
  try {
    const file = await findFile(folder, `${sha256}${NOTE_ENDING}`);
    const note = file && (JSON.parse(await (await file.getFile()).text()) as Partial<Note> | null);
    return typeof note?.id === 'string' && typeof note.lastUsedAt === 'number' ? { id: note.id, lastUsedAt: note.lastUsedAt } : undefined;
  } catch {
    return undefined;
  }
}

function isFile(handle: FileSystemHandle): handle is FileSystemFileHandle {
  return handle.kind === 'file';
}
