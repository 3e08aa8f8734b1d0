/** Finds a model by its id in the bundled manifest, or takes one by address and hash. */
import manifest from 'frontdesk:models';
import { checkObject } from './checks.js';
import { InvalidInputError } from './errors.js';
import type { ChunkHashes, ModelFile } from './protocol.js';

/** A model file of your own. */
export interface ModelByUrl {
  /** Where the GGUF file is; relative to the page. May be left out for a file that was imported. */
  readonly url?: string;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
  /** Default: the last part of the address. */
  readonly id?: string;
  /** Length of the file; progress is exact and a lack of room is seen early when it is known. */
  readonly bytes?: number;
  /** Hashes of its parts, e.g. of 4 MiB each: a wrong part is found, and fetched again, as soon as it arrives. Needs `bytes`. */
  readonly chunks?: ChunkHashes;
}

/** An id of the manifest, or a file of your own. */
export type ModelChoice = (typeof DEFAULT_MODEL) | (string & {}) | ModelByUrl;

/** The model of a desk that names none. */
export const DEFAULT_MODEL = 'smollm2-135m-instruct';

const LEAST_CHUNK_BYTES = 64 * 1024;
/** Several are in memory at a time. */
const MOST_CHUNK_BYTES = 16 * 1024 * 1024;

/** The file to load; `modelBaseUrl` is a folder that holds the manifest's files under their names. */
export function resolveModel(model: ModelChoice = DEFAULT_MODEL, modelBaseUrl?: string): ModelFile {
  if (typeof model === 'object') return modelByUrl(model);
  const entry = manifest.find(({ id }) => id === model);
  if (!entry) {
    const known = manifest.filter(({ use }) => use !== 'tests').map(({ id }) => id);
    throw new InvalidInputError(`no model is called ${model}; known are ${known.join(', ')}`);
  }
  if (entry.use === 'tests') {
    throw new InvalidInputError(`${model} is not distributed with this package; give its { url, sha256 } instead`);
  }
  const { id, file, sha256, bytes, chunks } = entry;
  if (modelBaseUrl !== undefined && typeof modelBaseUrl !== 'string') throw new InvalidInputError('modelBaseUrl must be an address');
  const url = modelBaseUrl === undefined ? entry.url : `${modelBaseUrl.replace(/\/$/, '')}/${file}`;
  // Without an address it may still be on the device.
  return { id, sha256, bytes, ...(chunks && { chunks }), ...(url !== undefined && { url: absolute(url) }) };
}

function modelByUrl(model: ModelByUrl): ModelFile {
  checkObject(model, 'the model');
  const { url, sha256, id, bytes, chunks } = model;
  const hash = checkHash(sha256, "the model's sha256");
  if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes > 0)) {
    throw new InvalidInputError("the model's bytes must be a whole number above 0");
  }
  const address = url === undefined ? undefined : absolute(url);
  const name = id ?? (address === undefined ? undefined : new URL(address).pathname.split('/').pop());
  return {
    id: name ?? hash,
    sha256: hash,
    ...(address !== undefined && { url: address }),
    ...(bytes !== undefined && { bytes }),
    ...(chunks && { chunks: checkChunks(chunks, bytes) }),
  };
}

/** 64 hexadecimal digits, in lower case. */
export function checkHash(sha256: unknown, what: string): string {
  if (typeof sha256 !== 'string' || !/^[0-9a-fA-F]{64}$/.test(sha256)) throw new InvalidInputError(`${what} must be 64 hexadecimal digits`);
  return sha256.toLowerCase();
}

function checkChunks({ bytes: length, sha256 }: ChunkHashes, bytes: number | undefined): ChunkHashes {
  if (bytes === undefined) throw new InvalidInputError("the model's chunks need its bytes");
  if (!(Number.isSafeInteger(length) && length >= LEAST_CHUNK_BYTES && length <= MOST_CHUNK_BYTES)) {
    throw new InvalidInputError(`the chunks' bytes must be a whole number from ${LEAST_CHUNK_BYTES} to ${MOST_CHUNK_BYTES}`);
  }
  if (!Array.isArray(sha256) || sha256.length !== Math.ceil(bytes / length)) {
    throw new InvalidInputError(`chunks of ${length} bytes need ${Math.ceil(bytes / length)} hashes`);
  }
  return { bytes: length, sha256: sha256.map((hash) => checkHash(hash, "each chunk's sha256")) };
}

/** Workers resolve addresses against their own file, so the page does it for them. */
export function absolute(url: string): string {
  try {
    return new URL(url, globalThis.location.href).href;
  } catch (error) {
    throw new InvalidInputError(`${url} is not an address`, { cause: error });
  }
}
