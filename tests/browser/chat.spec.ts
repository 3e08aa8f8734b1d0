/** Chat: OpenAI's shapes, whole and streamed, from the device and from the cloud. */
import type { Page } from '@playwright/test';
import type { CallOptions, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest } from 'frontdesk';
import { expect, test, toUpstream } from './fixtures.ts';

const QUESTION = [{ role: 'user', content: 'Name three things that one finds in an office, and say what each is for.' }] as const;
const CLOUD_TEXT = 'A desk, a chair and 一个 lamp 🙂.';
const ON_DEVICE: CallOptions = { threshold: 0 };

test('streamed and whole, the text is the same', async ({ desk }) => {
  const request = { messages: QUESTION, max_tokens: 40 };
  const whole = (await complete(desk.page, request, ON_DEVICE)).value;
  const chunks = (await stream(desk.page, request, ON_DEVICE)).value ?? [];
  expect(whole?.object).toBe('chat.completion');
  expect(whole?.choices[0].message.content.length).toBeGreaterThan(20);
  expect(textOf(chunks)).toBe(whole?.choices[0].message.content);
  expect(chunks.every(({ object, id }) => object === 'chat.completion.chunk' && id === chunks[0]?.id)).toBe(true);
  expect(chunks[0]?.choices[0].delta).toEqual({ role: 'assistant', content: '' });
  expect(chunks.filter((chunk) => chunk.frontdesk)).toHaveLength(1);
  const last = chunks.at(-1);
  expect(last?.choices[0].finish_reason).toBe(whole?.choices[0].finish_reason);
  expect(last?.frontdesk).toMatchObject({ source: 'device', reason: 'confident', local: { text: textOf(chunks) } });
  expect(last?.usage).toMatchObject({ completion_tokens: whole?.usage?.completion_tokens });
  expect(desk.requests).toEqual([]);
});

test('the same seed gives the same text, sampled', async ({ desk }) => {
  const request = { messages: QUESTION, max_tokens: 24, temperature: 1.2, top_p: 0.95, top_k: 50, seed: 7 };
  const [first, second, other] = [
    await complete(desk.page, request, ON_DEVICE),
    await complete(desk.page, request, ON_DEVICE),
    await complete(desk.page, { ...request, seed: 8 }, ON_DEVICE),
  ].map(({ value }) => value?.choices[0].message.content);
  expect(first).toBe(second);
  expect(other).not.toBe(first);
});

test('pieces are always whole characters', async ({ desk }) => {
  const messages = [{ role: 'user', content: 'Repeat exactly, and nothing else: Zürich 你好世界 🙂🚀 naïve' }] as const;
  const chunks = (await stream(desk.page, { messages, max_tokens: 48 }, ON_DEVICE)).value ?? [];
  const pieces = chunks.map(({ choices }) => choices[0].delta.content ?? '');
  expect(pieces.join('')).toMatch(/\P{ASCII}/u);
  for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u);
});

test('generation ends before a stop string, also across token borders, streamed or not', async ({ desk }) => {
  const request = { messages: QUESTION, max_tokens: 40 };
  const full = (await complete(desk.page, request, ON_DEVICE)).value?.choices[0].message.content ?? '';
  // From the middle of one word into the next: no token is like this.
  const middle = full.indexOf(' ', Math.floor(full.length / 2));
  const stop = full.slice(middle - 2, middle + 3);
  expect(stop).toHaveLength(5);
  const expected = full.slice(0, full.indexOf(stop));
  const whole = (await complete(desk.page, { ...request, stop }, ON_DEVICE)).value;
  expect(whole?.choices[0]).toMatchObject({ message: { content: expected }, finish_reason: 'stop' });
  const chunks = (await stream(desk.page, { ...request, stop: ['never seen', stop] }, ON_DEVICE)).value ?? [];
  expect(textOf(chunks)).toBe(expected);
});

test('max_tokens is kept, and said', async ({ desk }) => {
  const { value } = await complete(desk.page, { messages: QUESTION, max_tokens: 5 }, ON_DEVICE);
  expect(value?.choices[0].finish_reason).toBe('length');
  expect(value?.usage?.completion_tokens).toBe(5);
});

test('log-probabilities have the documented shape and say what was chosen', async ({ desk }) => {
  const request = { messages: QUESTION, max_tokens: 12, logprobs: true, top_logprobs: 3 };
  const { value } = await complete(desk.page, request, ON_DEVICE);
  const tokens = value?.choices[0].logprobs?.content ?? [];
  expect(tokens).toHaveLength(12);
  const bytes = Buffer.from(tokens.flatMap((token) => token.bytes));
  expect(bytes.toString('utf8')).toContain(value?.choices[0].message.content);
  for (const { token, logprob, top_logprobs } of tokens) {
    expect(logprob).toBeLessThanOrEqual(0);
    expect(top_logprobs).toHaveLength(3);
    expect(top_logprobs.map((other) => other.logprob)).toEqual(top_logprobs.map((other) => other.logprob).sort((a, b) => b - a));
    // Greedy: the chosen one is the likeliest.
    expect(top_logprobs[0]).toMatchObject({ token, logprob });
  }
  const meanLogprob = tokens.reduce((sum, { logprob }) => sum + logprob, 0) / tokens.length;
  expect(value?.frontdesk.confidence).toBeCloseTo(Math.exp(meanLogprob), 3);
  const chunks = (await stream(desk.page, request, ON_DEVICE)).value ?? [];
  expect(chunks.flatMap(({ choices }) => choices[0].logprobs?.content ?? [])).toHaveLength(12);
  const plain = await complete(desk.page, { messages: QUESTION, max_tokens: 2 }, ON_DEVICE);
  expect(plain.value?.choices[0].logprobs).toBeNull();
});

test('an unsure whole answer is asked of the cloud, once', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  const { value } = await complete(desk.page, { messages: QUESTION, max_tokens: 12 }, { threshold: 1 });
  expect(value?.choices[0].message.content).toBe(CLOUD_TEXT);
  expect(value?.frontdesk).toMatchObject({ source: 'cloud', reason: 'low_confidence', confidence: null, cost: { inputTokens: 42 } });
  expect(value?.frontdesk.local?.text.length).toBeGreaterThan(0);
  expect(toUpstream(desk.requests)).toHaveLength(1);
  expect(JSON.parse(upstream.bodies[0] ?? '')).toEqual({ model: 'big-model', messages: QUESTION, max_tokens: 12, temperature: 0 });
});

test('an unsure stream is the cloud’s from its first piece', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  const chunks = (await stream(desk.page, { messages: QUESTION, max_tokens: 40 }, { threshold: 1 })).value ?? [];
  expect(textOf(chunks)).toBe(CLOUD_TEXT);
  expect(chunks.length).toBeGreaterThan(4);
  expect(chunks.at(-1)?.frontdesk).toMatchObject({ source: 'cloud', reason: 'low_confidence', receipt: { body: upstream.bodies[0] } });
  expect(toUpstream(desk.requests)).toHaveLength(1);
  expect(JSON.parse(upstream.bodies[0] ?? '')).toMatchObject({ stream: true });
});

test('only_on_device streams without a request, however unsure', async ({ desk }) => {
  const chunks = (await stream(desk.page, { messages: QUESTION, max_tokens: 12 }, { threshold: 1, mode: 'only_on_device' })).value ?? [];
  expect(textOf(chunks).length).toBeGreaterThan(0);
  expect(chunks.at(-1)?.frontdesk).toMatchObject({ source: 'device', reason: 'device_only' });
  expect(desk.requests).toEqual([]);
});

test('only_on_device refuses a chat that does not fit, whole or streamed, without a request', async ({ desk, site, upstream }) => {
  const request = { messages: [{ role: 'user', content: 'far too long '.repeat(3000) }], max_tokens: 12 } as const;
  const options = { threshold: 1, mode: 'only_on_device' } as const;
  for (const { error } of [await complete(desk.page, request, options), await stream(desk.page, request, options)]) {
    expect(error).toMatchObject({ code: 'context_overflow', isFrontdeskError: true });
  }
  expect([desk.requests, site.log, upstream.bodies]).toEqual([[], [], []]);
});

for (const behaviour of ['status_500', 'rate_limited', 'hang', 'malformed', 'wrong_type', 'cut_early'] as const) {
  test(`a stream from the cloud that fails before its first piece (${behaviour}) becomes the device's`, async ({ desk, upstream }) => {
    const request = { messages: QUESTION, max_tokens: 12 };
    const own = (await complete(desk.page, request, ON_DEVICE)).value?.choices[0].message.content;
    upstream.behaviour = behaviour;
    upstream.text = CLOUD_TEXT;
    const chunks = (await stream(desk.page, request, { threshold: 1 })).value ?? [];
    expect(textOf(chunks)).toBe(own);
    expect(chunks.at(-1)?.frontdesk).toMatchObject({ source: 'device', reason: 'cloud_failed', receipt: { body: upstream.bodies[0] } });
    expect(upstream.bodies).toHaveLength(1);
  });
}

test('a stream from the cloud that is cut after its first piece ends with a typed error', async ({ desk, upstream }) => {
  upstream.behaviour = 'cut';
  upstream.text = CLOUD_TEXT;
  const { error } = await stream(desk.page, { messages: QUESTION, max_tokens: 12 }, { threshold: 1 });
  expect(error).toMatchObject({ code: 'upstream_malformed', isFrontdeskError: true });
  expect(upstream.bodies).toHaveLength(1);
});

test('fields that are not supported are refused, not ignored', async ({ desk }) => {
  const { error } = await complete(desk.page, { messages: QUESTION, tools: [] } as ChatCompletionRequest, {});
  expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining('tools') });
});

function complete(page: Page, request: ChatCompletionRequest, options: CallOptions): Promise<Settled<ChatCompletion>> {
  return page.evaluate(
    ([request, options]) => window.settle(window.desk.chat.completions.create({ ...request, stream: false }, options)),
    [request, options] as const,
  );
}

function stream(page: Page, request: ChatCompletionRequest, options: CallOptions): Promise<Settled<ChatCompletionChunk[]>> {
  return page.evaluate(
    ([request, options]) => {
      const read = async () => {
        const chunks: ChatCompletionChunk[] = [];
        for await (const chunk of window.desk.chat.completions.create({ ...request, stream: true }, options)) chunks.push(chunk);
        return chunks;
      };
      return window.settle(read());
    },
    [request, options] as const,
  );
}

function textOf(chunks: readonly ChatCompletionChunk[]): string {
  return chunks.map(({ choices }) => choices[0].delta.content ?? '').join('');
}
