/** OpenAI's own client, answered by the desk in the page: whole, streamed, aborted, refused, escalated. */
import type { Page } from '@playwright/test';
import type { OpenaiFetchOptions } from 'frontdesk/openai';
import type OpenAI from 'openai';
import { expect, MEGABYTE, test, WORLDLY } from './adapters_fixtures.ts';
import { toUpstream } from './fixtures.ts';
import type { Thrown } from './pages/adapters.ts';
import { RETRY_AFTER_SECONDS } from './servers/upstream.ts';

type Body = OpenAI.Chat.ChatCompletionCreateParamsNonStreaming;
type Chunk = OpenAI.Chat.ChatCompletionChunk & { readonly frontdesk?: Readonly<Record<string, unknown>> };

const CLOUD_TEXT = 'A desk, a chair and 一个 lamp 🙂.';
const ON_DEVICE: OpenaiFetchOptions = { threshold: 0 };
const ASK: Body = { model: 'any-name', messages: [{ role: 'user', content: 'Name three things that one finds in an office.' }], max_completion_tokens: 24 };

test('a whole answer is the desk’s, and says where it came from', async ({ desk }) => {
  const answer = await complete(desk.page, ASK, ON_DEVICE);
  const { messages } = ASK as { messages: { role: 'user'; content: string }[] };
  const own = await desk.page.evaluate((messages) => window.desk.chat.completions.create({ messages, max_tokens: 24 }, { threshold: 0 }), messages);
  expect(answer.choices[0]?.message.content).toBe(own.choices[0].message.content);
  expect(answer.usage).toMatchObject({ prompt_tokens: own.usage?.prompt_tokens, completion_tokens: own.usage?.completion_tokens });
  expect(answer).toMatchObject({ object: 'chat.completion', model: own.model, frontdesk: { source: 'device', reason: 'confident' } });
  expect((answer as unknown as { frontdesk: { confidence: number } }).frontdesk.confidence).toBeGreaterThan(0);
  expect(desk.requests).toEqual([]);
});

test('streamed it is the same text, and the usage has a chunk of its own where that is asked for', async ({ desk }) => {
  const whole = await complete(desk.page, ASK, ON_DEVICE);
  const chunks = await stream(desk.page, { ...ASK, stream_options: { include_usage: true } }, ON_DEVICE);
  expect(textOf(chunks)).toBe(whole.choices[0]?.message.content);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: whole.usage?.completion_tokens } });
  expect(chunks.slice(0, -1).every(({ usage, choices }) => usage === null && choices.length === 1)).toBe(true);
  expect(chunks.at(-2)).toMatchObject({ choices: [{ finish_reason: whole.choices[0]?.finish_reason }], frontdesk: { source: 'device' } });
  const plain = await stream(desk.page, ASK, ON_DEVICE);
  expect(textOf(plain)).toBe(textOf(chunks));
  expect(plain.every((chunk) => !('usage' in chunk) && chunk.choices.length === 1)).toBe(true);
  expect(desk.requests).toEqual([]);
});

test('the client’s helper for streams puts the answer together', async ({ desk }) => {
  const { text, whole } = await desk.page.evaluate(async (body) => {
    const stream = window.adapters.openai({ threshold: 0 }).chat.completions.stream({ ...body, stream: true });
    let text = '';
    stream.on('content', (piece) => (text += piece));
    const whole = await stream.finalChatCompletion();
    return { text, whole };
  }, ASK);
  expect(text).not.toBe('');
  expect(whole.choices[0]?.message.content).toBe(text);
});

test('the stream on the wire is server-sent events up to [DONE]', async ({ desk }) => {
  const { type, text } = await desk.page.evaluate(async (body) => {
    const fetch = window.adapters.openaiFetch(window.desk, { threshold: 0 });
    const response = await fetch('/v1/chat/completions', { method: 'POST', body: JSON.stringify({ ...body, stream: true }) });
    return { type: response.headers.get('content-type'), text: await response.text() };
  }, ASK);
  expect(type).toMatch(/^text\/event-stream/);
  const events = text.split('\n\n');
  expect(events.slice(-2)).toEqual(['data: [DONE]', '']);
  expect(events.slice(0, -1).every((event) => event.startsWith('data: '))).toBe(true);
  expect(desk.requests).toEqual([]);
});

test('what the device is unsure of is asked of the cloud, once, whole or streamed', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  const whole = await complete(desk.page, ASK, { threshold: 1 });
  expect(whole).toMatchObject({ model: 'big-model', choices: [{ message: { content: CLOUD_TEXT } }], frontdesk: { source: 'cloud', reason: 'low_confidence', receipt: { body: upstream.bodies[0] } } });
  const chunks = await stream(desk.page, ASK, { threshold: 1 });
  expect(textOf(chunks)).toBe(CLOUD_TEXT);
  expect(chunks.at(-1)?.frontdesk).toMatchObject({ source: 'cloud', receipt: { body: upstream.bodies[1] } });
  expect(toUpstream(desk.requests)).toHaveLength(2);
  expect(desk.requests).toHaveLength(2);
});

test('only_on_device sends nothing, however unsure', async ({ desk, site, upstream }) => {
  const options = { mode: 'only_on_device', threshold: 1 } as const;
  expect(await complete(desk.page, ASK, options)).toMatchObject({ frontdesk: { source: 'device', reason: 'device_only' } });
  expect(textOf(await stream(desk.page, ASK, options))).not.toBe('');
  expect(await models(desk.page)).toHaveLength(1);
  expect([desk.requests, site.log, upstream.bodies]).toEqual([[], [], []]);
});

test('parts are joined, developers are the system, and null is nothing', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: WORLDLY }, { type: 'text', text: 'Translate.' }] },
    { role: 'assistant', content: 'Well.', refusal: null },
    { role: 'user', content: '' },
  ] as Body['messages'];
  await complete(desk.page, { model: 'any', messages, n: 1, user: 'me', temperature: null, presence_penalty: 0, response_format: { type: 'text' } }, { mode: 'only_in_cloud' });
  expect((JSON.parse(upstream.bodies[0] ?? '') as Body).messages).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: `${WORLDLY}\nTranslate.` },
    { role: 'assistant', content: 'Well.' },
    { role: 'user', content: '' },
  ]);
});

test('pieces are always whole characters, and empty messages are answered', async ({ desk }) => {
  const messages: Body['messages'] = [{ role: 'user', content: `Repeat exactly, and nothing else: ${WORLDLY}` }];
  const pieces = (await stream(desk.page, { model: 'any', messages, max_tokens: 48 }, ON_DEVICE)).map(({ choices }) => choices[0]?.delta.content ?? '');
  expect(pieces.join('')).toMatch(/\P{ASCII}/u);
  for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u);
  expect(await complete(desk.page, { model: 'any', messages: [{ role: 'user', content: '' }], max_tokens: 4 }, ON_DEVICE)).toMatchObject({ object: 'chat.completion' });
});

test('a megabyte is refused as too long, whole or streamed, and nothing is sent', async ({ desk }) => {
  const body = { model: 'any', messages: [{ role: 'user', content: MEGABYTE }] } as const;
  for (const isStreamed of [false, true]) {
    const error = await failure(desk.page, { ...body, stream: isStreamed }, { mode: 'only_on_device' });
    expect(error).toMatchObject({ name: 'BadRequestError', status: 400, code: 'context_overflow' });
  }
  expect(desk.requests).toEqual([]);
});

const WRONG: Readonly<Record<string, unknown>> = {
  'no messages': { messages: [] },
  'no list of messages': { messages: 'hello' },
  tools: { ...ASK, tools: [{ type: 'function', function: { name: 'f' } }] },
  'several answers': { ...ASK, n: 2 },
  'a JSON schema': { ...ASK, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } } },
  'an unknown field': { ...ASK, __proto__: null, shiny: true },
  'a penalty': { ...ASK, presence_penalty: 0.5 },
  'two limits': { ...ASK, max_tokens: 5 },
  'a temperature out of range': { ...ASK, temperature: 3 },
  'options of a stream that is none': { ...ASK, stream_options: { include_usage: true } },
  'an unknown option of the stream': { ...ASK, stream: true, stream_options: { shiny: true } },
  'an image': { ...ASK, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://frontdesk.invalid/x.png' } }] }] },
  'a role of tools': { ...ASK, messages: [{ role: 'tool', content: 'x', tool_call_id: '1' }] },
  'calls of tools': { ...ASK, messages: [{ role: 'assistant', content: null, tool_calls: [] }] },
  'a message that is none': { ...ASK, messages: [null] },
};

for (const [what, body] of Object.entries(WRONG)) {
  test(`refused, not ignored: ${what}`, async ({ desk }) => {
    const error = await failure(desk.page, body, {});
    expect(error).toMatchObject({ name: 'BadRequestError', status: 400, code: 'invalid_input', headers: { 'x-should-retry': 'false' } });
    expect(error.body).toMatchObject({ type: 'invalid_request_error', param: null });
    expect(desk.requests).toEqual([]);
  });
}

test('other addresses and methods are not there', async ({ desk }) => {
  const [responses, method, json] = await desk.page.evaluate(async () => {
    const client = window.adapters.openai({});
    const post = { method: 'POST', body: 'not JSON' };
    return [
      await window.adapters.thrown(() => client.responses.create({ model: 'any', input: 'x' })),
      await window.adapters.thrown(() => client.get('/chat/completions')),
      (await window.adapters.openaiFetch(window.desk)('/v1/chat/completions', post)).status,
    ] as const;
  });
  expect(responses).toMatchObject({ name: 'NotFoundError', status: 404, code: 'not_found' });
  expect(method).toMatchObject({ status: 405, code: 'method_not_allowed', headers: { allow: 'POST' } });
  expect(json).toBe(400);
  expect(desk.requests).toEqual([]);
});

test('a backend without patience is the client’s RateLimitError', async ({ desk, upstream }) => {
  upstream.behaviour = 'rate_limited';
  const error = await failure(desk.page, ASK, { mode: 'only_in_cloud' });
  expect(error).toMatchObject({ name: 'RateLimitError', status: 429, code: 'rate_limited', headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } });
  expect(error.headers).not.toHaveProperty('x-should-retry');
  expect(error.body).toMatchObject({ frontdesk: { receipt: { body: upstream.bodies[0] } } });
  // Nothing is sent before the time has passed.
  const again = await failure(desk.page, { ...ASK, stream: true }, { mode: 'only_in_cloud' });
  expect(again).toMatchObject({ name: 'RateLimitError', status: 429, code: 'cloud_paused' });
  expect(upstream.bodies).toHaveLength(1);
});

test('a broken backend is tried again by the client; what cannot pass is not', async ({ desk, upstream }) => {
  upstream.behaviour = 'status_500';
  const error = await failure(desk.page, ASK, { mode: 'only_in_cloud' }, 1);
  expect(error).toMatchObject({ name: 'InternalServerError', status: 503, code: 'upstream_status' });
  expect(upstream.bodies).toHaveLength(2);
  upstream.reset(CLOUD_TEXT);
  upstream.behaviour = 'wrong_type';
  expect(await failure(desk.page, ASK, { mode: 'only_in_cloud' }, 1)).toMatchObject({ status: 503, code: 'upstream_malformed', headers: { 'x-should-retry': 'false' } });
  expect(upstream.bodies).toHaveLength(1);
});

test('a stream that breaks after its first piece ends with the error', async ({ desk, upstream }) => {
  upstream.behaviour = 'cut';
  upstream.text = CLOUD_TEXT;
  const error = await failure(desk.page, { ...ASK, stream: true }, { mode: 'only_in_cloud' });
  expect(error).toMatchObject({ code: 'upstream_malformed', body: { type: 'server_error', frontdesk: { receipt: { body: upstream.bodies[0] } } } });
});

test('an abort stops the work, whole or streamed, and the desk goes on', async ({ desk }) => {
  const long = { ...ASK, max_completion_tokens: 400 };
  const [early, whole, streamed, left] = await desk.page.evaluate(async (body) => {
    const client = window.adapters.openai({ threshold: 0 });
    const { thrown, count } = window.adapters;
    const abort = new AbortController();
    const waiting = thrown(() => client.chat.completions.create(body, { signal: abort.signal }));
    setTimeout(() => { abort.abort(); }, 100);
    const early = await thrown(() => client.chat.completions.create(body, { signal: AbortSignal.abort() }));
    const whole = await waiting;
    // The client ends an aborted stream without an error.
    const stopped = new AbortController();
    const streamed = await client.chat.completions.create({ ...body, stream: true }, { signal: stopped.signal });
    const pieces = await count(streamed, (found) => {
      if (found === 3) stopped.abort();
      return false;
    });
    const left = await count(await client.chat.completions.create({ ...body, stream: true }), (found) => found === 2);
    return [early, whole, pieces, left] as const;
  }, long);
  expect(early).toMatchObject({ name: 'APIUserAbortError' });
  expect(whole).toMatchObject({ name: 'APIUserAbortError' });
  expect([streamed, left]).toEqual([3, 2]);
  expect(await complete(desk.page, { ...ASK, max_completion_tokens: 2 }, ON_DEVICE)).toMatchObject({ usage: { completion_tokens: 2 } });
});

test('a destroyed desk is said to be, and not asked twice', async ({ desk }) => {
  const { error, calls } = await desk.page.evaluate(async (body) => {
    const { openaiCompatible, Frontdesk } = window.frontdesk;
    const gone = await Frontdesk.create({ mode: 'only_in_cloud', cloud: openaiCompatible({ url: '/v1/chat/completions', model: 'm' }) });
    await gone.destroy();
    let calls = 0;
    const answer = window.adapters.openaiFetch(gone);
    const fetch: typeof answer = (...request) => {
      calls += 1;
      return answer(...request);
    };
    return { error: await window.adapters.thrown(() => window.adapters.openai({}, { fetch }).chat.completions.create(body)), calls };
  }, ASK);
  expect(error).toMatchObject({ name: 'InternalServerError', status: 503, code: 'destroyed' });
  expect(calls).toBe(1);
});

test('models are those of the desk', async ({ desk }) => {
  expect(await models(desk.page)).toEqual(['smollm2-135m-instruct']);
});

test('without a reflex model there are no embeddings', async ({ desk }) => {
  const error = await desk.page.evaluate(() => window.adapters.thrown(() => window.adapters.openai({}).embeddings.create({ model: 'any', input: 'x' })));
  expect(error).toMatchObject({ name: 'BadRequestError', status: 400, code: 'invalid_input' });
});

function complete(page: Page, body: Body, options: OpenaiFetchOptions): Promise<OpenAI.Chat.ChatCompletion> {
  return page.evaluate(([body, options]) => window.adapters.openai(options).chat.completions.create(body), [body, options] as const);
}

function stream(page: Page, body: Omit<OpenAI.Chat.ChatCompletionCreateParamsStreaming, 'stream'>, options: OpenaiFetchOptions): Promise<Chunk[]> {
  return page.evaluate(
    async ([body, options]) => {
      const chunks: Chunk[] = [];
      for await (const chunk of await window.adapters.openai(options).chat.completions.create({ ...body, stream: true })) chunks.push(chunk);
      return chunks;
    },
    [body, options] as const,
  );
}

/** What the client throws, the stream's end among it. */
function failure(page: Page, body: unknown, options: OpenaiFetchOptions, maxRetries = 0): Promise<Thrown> {
  return page.evaluate(
    ([body, options, maxRetries]) =>
      window.adapters.thrown(async () => {
        const answer = await window.adapters.openai(options, { maxRetries }).chat.completions.create(body as Body);
        if (Symbol.asyncIterator in answer) await window.adapters.count(answer as unknown as AsyncIterable<Chunk>);
      }),
    [body, options, maxRetries] as const,
  );
}

function models(page: Page): Promise<string[]> {
  return page.evaluate(async () => (await window.adapters.openai({}).models.list()).data.map(({ id }) => id));
}

function textOf(chunks: readonly Chunk[]): string {
  return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
}
