/** A `fetch` for OpenAI's client: answers chat completions, embeddings and models from a desk, and never uses the network itself. */
import type { CallOptions, ChatCompletionChunk, ChatCompletionRequest, Frontdesk } from '../index.js';
import { InvalidInputError } from '../errors.js';
import { type ChatCall, fieldsOf, toChatCall } from './openai_chat.js';
import { embeddingsOf } from './openai_embeddings.js';
import { errorBody, failed, json, refused } from './openai_errors.js';
import { openStream } from './streams.js';

/** Options of all calls of one client; an abort comes with each request. */
export type OpenaiFetchOptions = Omit<CallOptions, 'signal'>;

interface Call {
  readonly desk: Frontdesk;
  readonly request: Request;
  readonly options: OpenaiFetchOptions;
}

interface Route {
  readonly method: 'GET' | 'POST';
  answer(call: Call): Promise<Response>;
}

/** By the end of the path, whatever the client's `baseURL`. */
const ROUTES: Readonly<Record<string, Route>> = {
  '/chat/completions': { method: 'POST', answer: answerChat },
  '/embeddings': { method: 'POST', answer: answerEmbeddings },
  '/models': { method: 'GET', answer: answerModels },
};

/**
 * Makes the `fetch` option of OpenAI's client:
 * `new OpenAI({ baseURL: 'https://frontdesk.invalid/v1', apiKey: 'unused', dangerouslyAllowBrowser: true, fetch: openaiFetch(desk) })`.
 * The address and the key are never used. Errors are responses with OpenAI's error body, whose `code` is this package's.
 */
export function openaiFetch(desk: Frontdesk, options: OpenaiFetchOptions = {}): typeof fetch {
  fieldsOf(options, 'options');
  return async (input, init) => {
    const request = new Request(input, init);
    try {
      request.signal.throwIfAborted();
      return await respond({ desk, request, options });
    } catch (error) {
      request.signal.throwIfAborted();
      return failed(error);
    }
  };
}

async function respond(call: Call): Promise<Response> {
  const { pathname } = new URL(call.request.url);
  const [, route] = Object.entries(ROUTES).find(([end]) => pathname.endsWith(end)) ?? [];
  if (!route) return refused(404, `${pathname} is not here; ${Object.keys(ROUTES).join(', ')} are`);
  if (call.request.method !== route.method) return refused(405, `${pathname} takes ${route.method} only`, { allow: route.method });
  return route.answer(call);
}

async function answerChat({ desk, request, options }: Call): Promise<Response> {
  const call = toChatCall(await bodyOf(request));
  const { signal } = request;
  if (!call.isStreamed) return json(await desk.chat.completions.create({ ...call.request, stream: false }, { ...options, signal }));
  const events = await openStream({
    start: (signal) => desk.chat.completions.create({ ...(call.request as ChatCompletionRequest), stream: true }, { ...options, signal }),
    parts: (chunks) => eventsOf(chunks, { call, signal }),
  }, signal);
  return new Response(events, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
}

/** Server-sent events, the last of which says that it is. A stream that fails ends with an error instead. */
async function* eventsOf(
  chunks: AsyncIterable<ChatCompletionChunk>,
  { call, signal }: { readonly call: ChatCall; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  const encoder = new TextEncoder();
  const event = (data: string) => encoder.encode(`data: ${data}\n\n`);
  try {
    for await (const { usage, ...chunk } of chunks) {
      yield event(JSON.stringify(call.includesUsage ? { ...chunk, usage: null } : chunk));
      if (!call.includesUsage || usage === undefined) continue;
      const { id, object, created, model } = chunk;
      yield event(JSON.stringify({ id, object, created, model, choices: [], usage }));
    }
    yield event('[DONE]');
  } catch (error) {
    signal.throwIfAborted();
    yield event(JSON.stringify(errorBody(error)));
  }
}

async function answerEmbeddings({ desk, request }: Call): Promise<Response> {
  return json(await embeddingsOf(desk, await bodyOf(request), request.signal));
}

function answerModels({ desk: { info } }: Call): Promise<Response> {
  const ids = info ? [info.id, ...(info.reflex ? [info.reflex.id] : [])] : [];
  return Promise.resolve(json({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 0, owned_by: 'frontdesk' })) }));
}

async function bodyOf(request: Request): Promise<unknown> {
  const text = await request.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidInputError('the body is not JSON', { cause: error });
  }
}
