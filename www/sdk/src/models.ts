/** Finds a model by its id in the bundled manifest, or takes one by address and hash. */
import manifest from 'frontdesk:models';
import { InvalidInputError } from './errors.js';
import type { ModelFile } from './protocol.js';

/** A model file of your own. */
export interface ModelByUrl {
  /** Where the GGUF file is; relative to the page. */
  readonly url: string;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
  /** Default: the last part of the address. */
  readonly id?: string;
  /** Length of the file; progress is exact and a lack of room is seen early when it is known. */
  readonly bytes?: number;
}

/** An id of the manifest, or a file of your own. */
export type ModelChoice = (typeof DEFAULT_MODEL) | (string & {}) | ModelByUrl;

export const DEFAULT_MODEL = 'smollm2-135m-instruct';

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
  const url = modelBaseUrl === undefined ? entry.url : `${modelBaseUrl.replace(/\/$/, '')}/${entry.file}`;
  if (url === undefined) throw new InvalidInputError(`${model} has no address; give a modelBaseUrl`);
  return { id: entry.id, url: absolute(url), sha256: entry.sha256, bytes: entry.bytes };
}

function modelByUrl({ url, sha256, id, bytes }: ModelByUrl): ModelFile {
  if (typeof sha256 !== 'string' || !/^[0-9a-fA-F]{64}$/.test(sha256)) {
    throw new InvalidInputError("the model's sha256 must be 64 hexadecimal digits");
  }
  if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes > 0)) {
    throw new InvalidInputError("the model's bytes must be a whole number above 0");
  }
  const address = absolute(url);
  const name = id ?? new URL(address).pathname.split('/').pop();
  return { id: name ?? address, url: address, sha256: sha256.toLowerCase(), ...(bytes !== undefined && { bytes }) };
}

/** Workers resolve addresses against their own file, so the page does it for them. */
export function absolute(url: string): string {
  try {
    return new URL(url, globalThis.location.href).href;
  } catch (error) {
    throw new InvalidInputError(`${url} is not an address`, { cause: error });
  }
}
