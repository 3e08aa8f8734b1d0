/** The journal of a download: a line for each chunk that was verified, so that a torn last line costs one chunk (worker only). */

/** What is known of a file that is not whole yet. */
export interface Journal {
  /** Length of the whole file; 0 where nobody knows it, and nothing can be resumed. */
  readonly bytes: number;
  readonly chunkBytes: number;
  /** What the server called this version of the file. */
  readonly etag?: string;
  /** SHA-256 of each chunk that is there, by its index. */
  readonly chunks: ReadonlyMap<number, string>;
}

const VERSION = 1;

/** Writes the journal of one download. */
export class JournalFile {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #name: string;
  readonly #handle: FileSystemSyncAccessHandle;

  private constructor(folder: FileSystemDirectoryHandle, name: string, handle: FileSystemSyncAccessHandle) {
    this.#folder = folder;
    this.#name = name;
    this.#handle = handle;
  }

  static async open(folder: FileSystemDirectoryHandle, name: string): Promise<JournalFile> {
    const file = await folder.getFileHandle(name, { create: true });
    const handle = await file.createSyncAccessHandle?.();
    if (!handle) throw new Error('this browser cannot write files from a worker');
    return new JournalFile(folder, name, handle);
  }

  begin({ bytes, chunkBytes, etag }: Omit<Journal, 'chunks'>): void {
    this.#handle.truncate(0);
    this.#write({ version: VERSION, bytes, chunkBytes, ...(etag !== undefined && { etag }) });
  }

  append(chunk: number, sha256: string): void {
    this.#write({ chunk, sha256 });
  }

  close(): void {
    this.#handle.close();
  }

  async remove(): Promise<void> {
    this.close();
    await this.#folder.removeEntry(this.#name).catch(() => undefined);
  }

  /** A line that cannot be written is a chunk that is fetched again. */
  #write(line: object): void {
    this.#handle.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`), { at: this.#handle.getSize() });
    this.#handle.flush();
  }
}

/** The journal under this name, if there is one that can be read. */
export async function readJournal(folder: FileSystemDirectoryHandle, name: string): Promise<Journal | undefined> {
  try {
    const file = await (await folder.getFileHandle(name)).getFile();
    return parseJournal(await file.text());
  } catch {
    return undefined;
  }
}

/** Lines that are torn or senseless are left out; without a first line there is no journal. */
export function parseJournal(text: string): Journal | undefined {
  const [first, ...rest] = text.split('\n').map(parseLine);
  if (first?.version !== VERSION || !isCount(first.bytes) || !isCount(first.chunkBytes)) return undefined;
  const { bytes, chunkBytes, etag } = first;
  const chunks = new Map<number, string>();
  for (const { chunk, sha256 } of rest) {
    if (typeof chunk === 'number' && Number.isSafeInteger(chunk) && chunk >= 0 && typeof sha256 === 'string') chunks.set(chunk, sha256);
  }
  return { bytes, chunkBytes, chunks, ...(typeof etag === 'string' && { etag }) };
}

type Line = Partial<Record<'version' | 'bytes' | 'chunkBytes' | 'etag' | 'chunk' | 'sha256', unknown>>;

function parseLine(text: string): Line {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null ? line : {};
  } catch {
    return {};
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}
