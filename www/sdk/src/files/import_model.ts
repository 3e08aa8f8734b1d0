/** Takes a model from a file that the user has, instead of from a server (worker only). */
import { checkHash } from './assembly.js';
import type { Sha256 } from '../engine_module.js';
import { InvalidModelError, ModelReadError } from '../errors.js';
import { noteUse } from './kept_models.js';
import { findModelFile, openModelFolder } from './model_folder.js';
import { OpfsPartial } from './partial_file.js';
import type { ImportRequest, LoadProgress } from '../protocol.js';
import { takeRoom } from './store.js';

export interface ImportOptions {
  readonly createHash: () => Sha256;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
}

const PIECE_BYTES = 4 * 1024 * 1024;
/** What every GGUF file begins with. */
const MAGIC = 'GGUF';

/** Keeps a copy of the file; resolves with its SHA-256. Rejects with a typed error, or with `signal.reason` when aborted. */
export async function importModel({ file, sha256: expected, id }: ImportRequest, options: ImportOptions): Promise<string> {
  const { createHash, signal, onProgress } = options;
  const { size: bytes } = file;
  if ((await file.slice(0, MAGIC.length).text().catch(unreadable)) !== MAGIC) throw new InvalidModelError('this is no GGUF file');
  const read = async (onPiece: (offset: number, piece: Uint8Array<ArrayBuffer>) => void, before: number) => {
    const hash = createHash();
    for (let offset = 0; offset < bytes; offset += PIECE_BYTES) {
      const piece = new Uint8Array(await file.slice(offset, offset + PIECE_BYTES).arrayBuffer().catch(unreadable));
      signal.throwIfAborted();
      hash.update(piece);
      onPiece(offset, piece);
      onProgress({ phase: 'verify', loaded: before + offset + piece.byteLength, total: 2 * bytes });
    }
    return hash.finish();
  };
  // Its name on the device is its hash, which is known only once it was read.
  const sha256 = await read(() => undefined, 0);
  if (expected !== undefined) checkHash({ id, sha256: expected }, sha256);
  const folder = await openModelFolder();
  if (await findModelFile(folder, { sha256, bytes })) return sha256;
  const partial = await OpfsPartial.open(folder, { id, sha256, bytes });
  try {
    await takeRoom(folder, partial, { sha256, bytes });
    partial.begin({ bytes, chunkBytes: PIECE_BYTES });
    const copied = await read((offset, piece) => {
      partial.write(offset, piece);
    }, bytes);
    checkHash({ id, sha256 }, copied);
    await partial.keep();
  } catch (error) {
    await partial.discard();
    throw error;
  }
  await noteUse(sha256, id);
  return sha256;
}

function unreadable(cause: unknown): never {
  throw new ModelReadError('the file could not be read', { cause });
}
