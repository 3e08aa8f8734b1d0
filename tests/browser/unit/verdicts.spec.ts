/** Verdicts on backends: what decides, what is said of it, and what becomes of a broken file. */
import { expect, test } from '@playwright/test';
import { answerMs, fasterBackend, parseVerdicts, whySlower } from '../../../www/sdk/src/verdicts.ts';

const slow = { promptMs: 5120, tokenMs: 840 };
const fast = { promptMs: 62, tokenMs: 16.4 };
const entry = { model: 'm', adapter: 'a', sdk: '1', variant: 'relaxed', threads: 1, wasm: fast, webgpu: slow };

test('the time of an answer of 32 tokens decides, prompt included, and a draw is the CPU\'s', () => {
  expect(answerMs({ promptMs: 100, tokenMs: 10 })).toBe(410);
  expect(fasterBackend({ wasm: fast, webgpu: slow })).toBe('wasm');
  expect(fasterBackend({ wasm: slow, webgpu: fast })).toBe('webgpu');
  expect(fasterBackend({ wasm: fast, webgpu: fast })).toBe('wasm');
  // Fewer milliseconds a token do not make up for a slow prompt.
  expect(fasterBackend({ wasm: fast, webgpu: { promptMs: 900, tokenMs: 10 } })).toBe('wasm');
});

test('people are told both speeds', () => {
  expect(whySlower({ wasm: fast, webgpu: slow })).toBe('the GPU is slower here: 1.2 tokens/s, the CPU 61; to the first token 5.1 s, the CPU 0.062');
});

test('broken entries are left out, and a broken file is an empty one', () => {
  const broken = [null, 1, [], { ...entry, wasm: undefined }, { ...entry, threads: '1' }, { ...entry, webgpu: { promptMs: 1, tokenMs: -1 } }, { ...entry, webgpu: { promptMs: null, tokenMs: 1 } }];
  expect(parseVerdicts(JSON.stringify([...broken, entry]))).toEqual([entry]);
  for (const text of ['', '[', '{}', 'null', '"x"']) expect(parseVerdicts(text)).toEqual([]);
});
