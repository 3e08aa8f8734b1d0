/** One request's books: who is told what was sent, and a provider that does not listen to its signal. */
import { expect, test } from '@playwright/test';
import { askStreaming, askWhole } from '../../../www/sdk/src/cascade.ts';
import type { Receipt } from '../../../www/sdk/src/errors.ts';
import { Run } from '../../../www/sdk/src/run.ts';

const RECEIPT: Receipt = { url: 'https://example.com/', bytes: 8, body: 'the body', at: '2026-01-01T00:00:00.000Z' };
const never = () => new Promise<never>(() => undefined);

test('a provider that ignores its signal does not hold up an aborted call', async () => {
  const controller = new AbortController();
  const told: Receipt[] = [];
  const run = new Run(controller.signal, (receipt) => told.push(receipt));
  const asked = askWhole('only_in_cloud', run, {
    cloud: () => {
      run.onSend(RECEIPT);
      return never();
    },
  });
  controller.abort(new TypeError('own reason'));
  await expect(asked).rejects.toThrow('own reason');
  expect(told).toEqual([RECEIPT]);
});

test('nor an aborted stream, before its first piece or after it', async () => {
  for (const pieces of [0, 1]) {
    const controller = new AbortController();
    const run = new Run(controller.signal);
    const stream = askStreaming({ mode: 'only_in_cloud', threshold: 0.5 }, run, {
      cloud: (push) => {
        for (let piece = 0; piece < pieces; piece++) push({ text: 'word', logprobs: [] });
        return never();
      },
    });
    for (let piece = 0; piece < pieces; piece++) expect((await stream.next()).value).toMatchObject({ text: 'word' });
    const next = stream.next();
    setTimeout(() => {
      controller.abort(new TypeError('own reason'));
    }, 5);
    await expect(next).rejects.toThrow('own reason');
  }
});

test('each request is told of before it is sent, failed ones too', async () => {
  const events: string[] = [];
  const run = new Run(undefined, ({ body }) => events.push(`told ${body}`));
  const asked = askWhole('only_in_cloud', run, {
    cloud: () => {
      run.onSend(RECEIPT);
      events.push('sent');
      return Promise.reject(new Error('broken'));
    },
  });
  await expect(asked).rejects.toMatchObject({ code: 'upstream_network', receipt: RECEIPT });
  expect(events).toEqual(['told the body', 'sent']);
});
