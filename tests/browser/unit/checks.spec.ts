/** Checks of input: what is refused, what is passed on, and how. */
import { expect, test } from '@playwright/test';
import { type ChatCompletionRequest, checkChatRequest, checkContextTokens, checkLabels, checkMode, checkSubject, checkText, checkThreshold } from '../../../www/sdk/src/checks.ts';
import { InvalidInputError } from '../../../www/sdk/src/errors.ts';
import type { Label, Mode } from '../../../www/sdk/src/protocol.ts';

const messages = [{ role: 'user', content: 'hello' }] as const;

test('labels may be names or come with descriptions', () => {
  expect(checkLabels(['a', { name: 'b', description: 'the second' }])).toEqual([{ name: 'a' }, { name: 'b', description: 'the second' }]);
  expect(checkLabels(Array.from({ length: 256 }, (_, index) => String(index)))).toHaveLength(256);
  expect(checkLabels(['x'.repeat(200), 'b'])[0]?.name).toHaveLength(200);
});

for (const [what, labels] of Object.entries({
  'none at all': undefined,
  'one label': ['a'],
  'the same label twice': ['a', { name: 'a' }],
  'an empty label': ['a', ''],
  'a label of spaces': ['a', '  '],
  'a label that is too long': ['a', 'x'.repeat(201)],
  'a label that is no text': ['a', 5],
  'a label that is nothing': ['a', null],
  'a description that is no text': ['a', { name: 'b', description: 5 }],
  'too many labels': Array.from({ length: 257 }, (_, index) => String(index)),
})) {
  test(`labels: ${what} is refused`, () => {
    expect(() => checkLabels(labels as (string | Label)[])).toThrow(InvalidInputError);
  });
}

test('thresholds, modes, texts, subjects and contexts', () => {
  expect([checkThreshold(0), checkThreshold(1)]).toEqual([0, 1]);
  for (const bad of [-0.1, 1.1, Number.NaN, '0.5']) expect(() => checkThreshold(bad as number)).toThrow(InvalidInputError);
  expect(checkMode('cascade')).toBe('cascade');
  expect(() => checkMode('toString' as Mode)).toThrow(InvalidInputError);
  expect(checkText('')).toBe('');
  expect(() => checkText(undefined as unknown as string)).toThrow(InvalidInputError);
  expect(checkSubject('bug report')).toBe('bug report');
  for (const bad of ['', ' ', 'x'.repeat(101)]) expect(() => checkSubject(bad)).toThrow(InvalidInputError);
  expect(checkContextTokens(2048)).toBe(2048);
  for (const bad of [0, 10.5, 10_000_000]) expect(() => checkContextTokens(bad)).toThrow(InvalidInputError);
});

test('a chat request gets its defaults and the names of the protocol', () => {
  expect(checkChatRequest({ messages })).toEqual({ messages, maxTokens: 256, temperature: 0, stop: [] });
  expect(
    checkChatRequest({
      messages,
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.05,
      repetition_penalty: 1.1,
      seed: 3,
      stop: 'x',
      logprobs: true,
      stream: false,
    }),
  ).toEqual({
    messages,
    maxTokens: 9,
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    minP: 0.05,
    repetitionPenalty: 1.1,
    seed: 3,
    stop: ['x'],
    topLogprobs: 0,
  });
});

for (const [what, fields] of Object.entries({
  'no messages': { messages: [] },
  'a strange role': { messages: [{ role: 'tool', content: 'x' }] },
  'content that is no text': { messages: [{ role: 'user', content: [] }] },
  'a field that is not supported': { response_format: {} },
  'max_tokens of nothing': { max_tokens: 0 },
  'a broken number of max_tokens': { max_tokens: 1.5 },
  'a negative temperature': { temperature: -1 },
  'top_p of nothing': { top_p: 0 },
  'a seed that is not whole': { seed: 0.5 },
  'an empty stop string': { stop: [''] },
  'too many stop strings': { stop: Array.from({ length: 17 }, (_, index) => `s${index}`) },
  'top_logprobs without logprobs': { top_logprobs: 2 },
  'too many top_logprobs': { logprobs: true, top_logprobs: 21 },
})) {
  test(`chat: ${what} is refused`, () => {
    expect(() => checkChatRequest({ messages, ...fields } as ChatCompletionRequest)).toThrow(InvalidInputError);
  });
}
