/** The provider with a `fetch` of the test's own: addresses, headers, and a `fetch` that does not listen. */
import { expect, test } from '@playwright/test';
import { FrontdeskError, InvalidInputError, type Receipt } from '../../../www/sdk/src/errors.ts';
import { openaiCompatible } from '../../../www/sdk/src/providers/openai_compatible.ts';

const REQUEST = { text: 'hello', labels: [{ name: 'a', description: 'the first' }, { name: 'b' }], subject: 'greeting' };

for (const url of ['http://example.com/v1', 'ftp://localhost/', 'https://user:secret@example.com/', 'not an address', 'javascript:alert(1)']) {
  test(`the address ${url} is refused`, () => {
    expect(() => openaiCompatible({ url, model: 'm' })).toThrow(InvalidInputError);
  });
}

for (const url of ['https://example.com/v1', 'http://localhost:8080/v1', 'http://127.0.0.1/v1', 'http://[::1]:1/v1']) {
  test(`the address ${url} will do`, () => {
    expect(() => openaiCompatible({ url, model: 'm' })).not.toThrow();
  });
}

test('time limits and model names are checked', () => {
  for (const timeoutMs of [0, -1, Number.NaN, 1e9]) {
    expect(() => openaiCompatible({ url: 'https://example.com', model: 'm', timeoutMs })).toThrow(InvalidInputError);
  }
  expect(() => openaiCompatible({ url: 'https://example.com', model: '' })).toThrow(InvalidInputError);
});

test('one fetch per call, with no header but the type, and the receipt is what was sent', async () => {
  const calls: { url: string; init: RequestInit | undefined }[] = [];
  const receipts: Receipt[] = [];
  const provider = openaiCompatible({
    url: 'https://example.com/v1/chat',
    model: 'm',
    fetch: (url, init) => {
      calls.push({ url: url as string, init });
      return Promise.resolve(Response.json({ choices: [{ message: { content: 'B' }, finish_reason: 'stop' }] }));
    },
  });
  const answer = await provider.classify(REQUEST, { onSend: (receipt) => receipts.push(receipt) });
  expect(answer).toEqual({ value: 'b', usage: null });
  expect(calls).toHaveLength(1);
  expect(calls[0]?.init).toMatchObject({ method: 'POST', headers: { 'content-type': 'application/json' }, redirect: 'error' });
  expect(receipts).toMatchObject([{ url: 'https://example.com/v1/chat', body: calls[0]?.init?.body }]);
  expect(JSON.parse(receipts[0]?.body ?? '')).toMatchObject({ messages: [{ content: expect.stringContaining('- a: the first\n- b') as unknown }, { content: 'hello' }] });
});

test('a fetch that ignores its signal holds nobody up', async () => {
  const provider = openaiCompatible({ url: 'https://example.com', model: 'm', timeoutMs: 50, fetch: () => new Promise(() => undefined) });
  await expect(provider.classify(REQUEST, { onSend: () => undefined })).rejects.toMatchObject({ code: 'upstream_timeout', details: { timeoutMs: 50 } });
  const controller = new AbortController();
  const aborted = provider.classify(REQUEST, { onSend: () => undefined, signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toBe(controller.signal.reason);
});

test('a signal that has aborted already: nothing is sent', async () => {
  let sent = 0;
  const provider = openaiCompatible({
    url: 'https://example.com',
    model: 'm',
    fetch: () => {
      sent += 1;
      return Promise.resolve(new Response());
    },
  });
  await expect(provider.classify(REQUEST, { onSend: () => undefined, signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  expect(sent).toBe(0);
});

test('a stream that is alive is not timed out, a stream that stalls is', async () => {
  const provider = openaiCompatible({
    url: 'https://example.com',
    model: 'm',
    timeoutMs: 100,
    fetch: () => Promise.resolve(new Response(slowStream(), { headers: { 'content-type': 'text/event-stream' } })),
  });
  const pieces: string[] = [];
  const chat = { messages: [{ role: 'user', content: 'x' }], maxTokens: 9, temperature: 0, stop: [] } as const;
  await expect(provider.chat(chat, { onSend: () => undefined, onDelta: ({ text }) => pieces.push(text) })).rejects.toMatchObject({ code: 'upstream_timeout' });
  expect(pieces).toEqual(['0', '1', '2', '3', '4']);
});

test('a stream of nothing but comments and empty pieces is timed out', async () => {
  const provider = openaiCompatible({
    url: 'https://example.com',
    model: 'm',
    timeoutMs: 100,
    fetch: () => Promise.resolve(new Response(commentsOnly(), { headers: { 'content-type': 'text/event-stream' } })),
  });
  const chat = { messages: [{ role: 'user', content: 'x' }], maxTokens: 9, temperature: 0, stop: [] } as const;
  const start = performance.now();
  await expect(provider.chat(chat, { onSend: () => undefined, onDelta: () => undefined })).rejects.toMatchObject({ code: 'upstream_timeout' });
  expect(performance.now() - start).toBeLessThan(1000);
});

test('503 with Retry-After pauses the calls too; errors are recognised across bundles by their marker', async () => {
  let sent = 0;
  const provider = openaiCompatible({
    url: 'https://example.com',
    model: 'm',
    fetch: () => {
      sent += 1;
      return Promise.resolve(new Response(null, { status: 503, headers: { 'retry-after': '5' } }));
    },
  });
  const first = await provider.classify(REQUEST, { onSend: () => undefined }).catch((error: unknown) => error);
  expect(first).toMatchObject({ code: 'upstream_status', details: { status: 503, retryAfterMs: 5000 } });
  expect(FrontdeskError.isInstance(first)).toBe(true);
  expect(FrontdeskError.isInstance(new Error('other'))).toBe(false);
  await expect(provider.classify(REQUEST, { onSend: () => undefined })).rejects.toMatchObject({ code: 'cloud_paused' });
  expect(sent).toBe(1);
});

/** A sign of life every 20 ms for two seconds, but never a word of the answer; then a proper end. */
function commentsOnly(): ReadableStream<Uint8Array> {
  let piece = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const events = [': keep-alive\n\n', 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'];
      if (piece < 100) controller.enqueue(new TextEncoder().encode(events[piece++ % 2]));
      else controller.close();
    },
  });
}

/** Five pieces, 40 ms apart: longer in all than the limit; then silence. */
function slowStream(): ReadableStream<Uint8Array> {
  let piece = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, piece < 5 ? 40 : 60_000).unref());
      controller.enqueue(new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${piece++}"}}]}\n\n`));
    },
  });
}
