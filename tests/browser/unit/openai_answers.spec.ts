/** Reading what a backend says: whole answers, streams split anywhere, and labels. */
import { expect, test } from '@playwright/test';
import { UpstreamMalformedError } from '../../../www/sdk/src/errors.ts';
import { CompletionStream, matchLabel, parseCompletion } from '../../../www/sdk/src/providers/openai_answers.ts';

const WHOLE = {
  model: 'm',
  choices: [{ message: { content: 'hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 4, completion_tokens: 1 },
};

test('a whole answer is read', () => {
  expect(parseCompletion(JSON.stringify(WHOLE))).toEqual({
    text: 'hello',
    finishReason: 'stop',
    logprobs: [],
    usage: { inputTokens: 4, outputTokens: 1 },
    model: 'm',
  });
});

test('usage that makes no sense is no usage', () => {
  const { usage } = parseCompletion(JSON.stringify({ ...WHOLE, usage: { prompt_tokens: -1, completion_tokens: '1' } }));
  expect(usage).toBeNull();
});

for (const body of [
  '',
  'null',
  '[]',
  '{"choices":[]}',
  '{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}',
  '{"choices":[{"message":{"content":"x"}}]}',
  '{"choices":{"0":{}}}',
]) {
  test(`the answer ${JSON.stringify(body)} is malformed`, () => {
    expect(() => parseCompletion(body)).toThrow(UpstreamMalformedError);
  });
}

const EVENTS = [
  'data: {"model":"m","choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}\n\n',
  ': a comment\n\n',
  'data: {"choices":[{"delta":{"content":"Grüß "},"finish_reason":null}]}\n\n',
  'data: {"choices":[{"delta":{"content":"dich"},"finish_reason":null}]}\r\n\r\n',
  'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n',
  'data: [DONE]\n\n',
];

for (const size of [1, 2, 7, 10_000]) {
  test(`a stream in pieces of ${size} characters is the same stream`, () => {
    const { texts, stream } = read(EVENTS.join(''), size);
    expect(texts).toEqual(['Grüß ', 'dich']);
    expect(stream.finish()).toEqual({ text: 'Grüß dich', finishReason: 'stop', logprobs: [], usage: { inputTokens: 4, outputTokens: 2 }, model: 'm' });
    expect(stream.done).toBe(true);
  });
}

test('a stream that ends before its end is malformed, wherever that is', () => {
  for (const kept of [0, 1, 3, 4]) {
    const { stream } = read(EVENTS.slice(0, kept).join(''), 10_000);
    expect(() => stream.finish()).toThrow(UpstreamMalformedError);
  }
});

test('a finish reason or [DONE] alone is an end', () => {
  expect(read(EVENTS.slice(0, 5).join(''), 10_000).stream.finish().text).toBe('Grüß dich');
  expect(read([...EVENTS.slice(0, 4), 'data: [DONE]\n\n'].join(''), 10_000).stream.finish().finishReason).toBe('stop');
});

test('broken events and errors inside a stream are malformed', () => {
  for (const event of ['data: {"choices"\n\n', 'data: {"error":{"message":"overloaded"}}\n\n', 'data: {"choices":[{"delta":{"content":5}}]}\n\n']) {
    expect(() => read(event, 10_000)).toThrow(UpstreamMalformedError);
  }
});

test('log-probabilities are read where they are as documented, and left out where not', () => {
  const entry = { token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [{ token: 'b', logprob: -1, bytes: null }, 'nonsense'] };
  const choice = { message: { content: 'a' }, finish_reason: 'stop', logprobs: { content: [entry, { token: 5 }] } };
  expect(parseCompletion(JSON.stringify({ choices: [choice] })).logprobs).toEqual([
    { token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [{ token: 'b', logprob: -1, bytes: [98] }] },
  ]);
});

test('labels match exactly, or else but for case; anything else is malformed', () => {
  const labels = [{ name: 'Billing' }, { name: 'Bug' }, { name: 'bug' }];
  expect(matchLabel(' Billing\n', labels)).toBe('Billing');
  expect(matchLabel('billing', labels)).toBe('Billing');
  expect(matchLabel('bug', labels)).toBe('bug');
  for (const answer of ['BUG', 'Billing.', 'The label is Billing', '']) expect(() => matchLabel(answer, labels)).toThrow(UpstreamMalformedError);
});

function read(text: string, size: number) {
  const texts: string[] = [];
  const stream = new CompletionStream((delta) => texts.push(delta.text));
  for (let start = 0; start < text.length; start += size) stream.feed(text.slice(start, start + size));
  return { texts, stream };
}
