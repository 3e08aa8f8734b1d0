/** Embeddings of the desk's reflex model in OpenAI's shape. */
import type { Frontdesk } from '../index.js';
import { InvalidInputError } from '../errors.js';
import { fieldsOf, IGNORED, refuseAny, without } from './openai_chat.js';

/** OpenAI's list of embeddings; `frontdesk.truncated` names the texts that were longer than the model reads. */
export interface EmbeddingsBody {
  readonly object: 'list';
  readonly model: string;
  readonly data: readonly { readonly object: 'embedding'; readonly index: number; readonly embedding: readonly number[] | string }[];
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
  readonly frontdesk: { readonly source: 'device'; readonly truncated: readonly number[] };
}

/** Throws `InvalidInputError` for tokens instead of texts, and for other dimensions than the model's. */
export async function embeddingsOf(desk: Frontdesk, body: unknown, signal: AbortSignal): Promise<EmbeddingsBody> {
  const { input, encoding_format = 'float', dimensions, ...others } = fieldsOf(body, 'the body');
  refuseAny(without(others, IGNORED), 'the body');
  if (encoding_format !== 'float' && encoding_format !== 'base64') throw new InvalidInputError('encoding_format must be float or base64');
  const { reflex } = desk.info ?? {};
  if (dimensions !== undefined && reflex && dimensions !== reflex.dimensions) {
    throw new InvalidInputError(`dimensions must be ${reflex.dimensions}, those of ${reflex.id}`);
  }
  const texts: unknown = typeof input === 'string' ? [input] : input;
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) {
    throw new InvalidInputError('input must be a text or a list of texts');
  }
  const { embeddings } = await desk.embed(texts, { signal });
  const encode = encoding_format === 'base64' ? toBase64 : (vector: Float32Array) => [...vector];
  const tokens = embeddings.reduce((sum, embedding) => sum + embedding.tokens, 0);
  return {
    object: 'list',
    model: reflex?.id ?? '',
    data: embeddings.map(({ vector }, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    frontdesk: { source: 'device', truncated: embeddings.flatMap(({ isTruncated }, index) => (isTruncated ? [index] : [])) },
  };
}

/** Little-endian, as OpenAI's are and as every machine that runs browsers has them. */
function toBase64(vector: Float32Array): string {
  return btoa(String.fromCharCode(...new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)));
}
