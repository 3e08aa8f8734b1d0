/** Streaming through the cascade: what is held back, who takes over, and what cannot be taken back. */
import { expect, test } from '@playwright/test';
import { askStreaming, HELD_TOKENS, type StreamingSides } from '../../../www/sdk/src/cascade.ts';
import { BackendError, UpstreamStatusError } from '../../../www/sdk/src/errors.ts';
import type { LocalCompletion, Mode } from '../../../www/sdk/src/protocol.ts';
import type { CloudCompletion } from '../../../www/sdk/src/providers/provider.ts';
import { Run } from '../../../www/sdk/src/run.ts';

interface Script {
  /** Tokens that the device says. */
  readonly tokens?: number;
  readonly confidence?: number;
  /** The confidence after the tokens held back, and of the whole, where it differs from `confidence`. */
  readonly laterConfidence?: number;
  /** The token after which the device fails. */
  readonly deviceFailsAfter?: number;
  /** True where the device fails only when it is asked a second time. */
  readonly deviceFailsAgain?: boolean;
  /** The word after which the cloud fails. */
  readonly cloudFailsAfter?: number;
  readonly cloud?: boolean;
}

test('a sure device is committed to after the tokens held back, and nothing is lost', async () => {
  const { pieces, outcome, events } = await play('cascade', { tokens: 12, confidence: 0.9 });
  expect(pieces.join('')).toBe('0 1 2 3 4 5 6 7 8 9 10 11 ');
  expect(outcome).toBe('device confident');
  expect(events.indexOf('got 0')).toBe(HELD_TOKENS);
  expect(events).not.toContain('cloud');
});

test('a committed stream is judged by its whole', async () => {
  const fallen = await play('cascade', { tokens: 12, confidence: 0.9, laterConfidence: 0.2 });
  expect([fallen.pieces.length, fallen.outcome, fallen.events.includes('cloud')]).toEqual([12, 'device committed', false]);
  const risen = await play('cascade', { tokens: 12, confidence: 0.2, laterConfidence: 0.9, cloud: false });
  expect([risen.pieces.length, risen.outcome]).toEqual([12, 'device confident']);
});

test('where the cloud fails and the device fails when it is asked again, the error names both and carries the receipt', async () => {
  const { pieces, outcome, error } = await play('cascade', { tokens: 12, confidence: 0.2, cloudFailsAfter: 0, deviceFailsAgain: true });
  expect([pieces, outcome]).toEqual([[], 'error no_answer']);
  expect(error).toMatchObject({ details: { deviceCode: 'backend', cloudCode: 'upstream_status' }, receipt: { body: 'the body' } });
});

test('an unsure device is stopped, and not one of its pieces is seen', async () => {
  const { pieces, outcome, events } = await play('cascade', { tokens: 100, confidence: 0.2 });
  expect(pieces).toEqual(['from ', 'the ', 'cloud']);
  expect(outcome).toBe('cloud low_confidence');
  expect(events).toContain('device stopped');
  expect(events).not.toContain('said 20');
});

test('an answer shorter than what is held back is judged as a whole', async () => {
  const sure = await play('cascade', { tokens: 3, confidence: 0.9 });
  expect([sure.pieces.length, sure.outcome]).toEqual([3, 'device confident']);
  const unsure = await play('cascade', { tokens: 3, confidence: 0.2 });
  expect([unsure.pieces.join(''), unsure.outcome]).toEqual(['from the cloud', 'cloud low_confidence']);
});

test('without a cloud an unsure stream is given all the same, and says so', async () => {
  for (const tokens of [3, 12]) {
    const { pieces, outcome } = await play('cascade', { tokens, confidence: 0.2, cloud: false });
    expect([pieces.length, outcome]).toEqual([tokens, 'device would_escalate']);
  }
});

test('a cloud that fails before its first piece is replaced by the device', async () => {
  for (const tokens of [3, 12]) {
    const { pieces, outcome } = await play('cascade', { tokens, confidence: 0.2, cloudFailsAfter: 0 });
    expect([pieces.length, outcome]).toEqual([tokens, 'device cloud_failed']);
  }
  const preferred = await play('prefer_in_cloud', { tokens: 4, cloudFailsAfter: 0 });
  expect([preferred.pieces.length, preferred.outcome]).toEqual([4, 'device cloud_failed']);
});

test('a cloud that fails later ends the stream with its error', async () => {
  for (const mode of ['cascade', 'prefer_in_cloud', 'only_in_cloud'] as const) {
    const { pieces, outcome } = await play(mode, { tokens: 12, confidence: 0.2, cloudFailsAfter: 1 });
    expect([pieces, outcome]).toEqual([['from '], 'error upstream_status']);
  }
});

test('a device that fails before its first piece is replaced by the cloud, but not in only_on_device', async () => {
  for (const mode of ['cascade', 'prefer_on_device'] as const) {
    const { outcome } = await play(mode, { tokens: 12, confidence: 0.9, deviceFailsAfter: 0 });
    expect(outcome).toBe('cloud local_failed');
  }
  const only = await play('only_on_device', { tokens: 12, deviceFailsAfter: 0 });
  expect([only.outcome, only.events.includes('cloud')]).toEqual(['error backend', false]);
  const both = await play('cascade', { tokens: 12, deviceFailsAfter: 0, cloudFailsAfter: 0 });
  expect(both.outcome).toBe('error no_answer');
});

test('a device that fails later ends the stream with its error', async () => {
  const { pieces, outcome, events } = await play('prefer_on_device', { tokens: 12, deviceFailsAfter: 2 });
  expect([pieces.length, outcome, events.includes('cloud')]).toEqual([2, 'error backend', false]);
});

async function play(mode: Mode, script: Script): Promise<{ pieces: string[]; outcome: string; events: string[]; error?: unknown }> {
  const events: string[] = [];
  const pieces: string[] = [];
  const run = new Run();
  const stream = askStreaming({ mode, threshold: 0.5 }, run, sidesOf(script, { run, events }));
  try {
    for (;;) {
      const next = await stream.next();
      if (next.done) return { pieces, outcome: `${next.value.source} ${next.value.reason}`, events };
      events.push(`got ${pieces.length}`);
      pieces.push(next.value.text);
    }
  } catch (error) {
    return { pieces, outcome: `error ${(error as BackendError).code}`, events, error };
  }
}

function sidesOf(script: Script, { run, events }: { run: Run; events: string[] }): StreamingSides {
  const { tokens = 0, confidence = 0.9, deviceFailsAfter, deviceFailsAgain = false, cloudFailsAfter, cloud = true } = script;
  const wholeConfidence = script.laterConfidence ?? confidence;
  let asked = 0;
  return {
    device: async (push, signal) => {
      asked += 1;
      if (asked > 1 && deviceFailsAgain) throw new BackendError('broken');
      for (let token = 0; token < tokens; token++) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (signal.aborted) events.push('device stopped');
        signal.throwIfAborted();
        if (token === deviceFailsAfter) throw new BackendError('broken');
        events.push(`said ${token}`);
        const soFar = token < HELD_TOKENS ? confidence : wholeConfidence;
        push({ type: 'delta', text: `${token} `, confidence: soFar, tokens: token + 1, logprobs: [] });
      }
      const isSure = wholeConfidence >= 0.5;
      const decision = isSure ? ({ action: 'answer', reason: 'confident' } as const) : ({ action: 'escalate', reason: 'low_confidence' } as const);
      return { text: '', finishReason: 'stop', confidence: wholeConfidence, decision } as LocalCompletion;
    },
    cloud: cloud
      ? async (push) => {
          events.push('cloud');
          run.onSend({ url: 'https://example.com/', bytes: 8, body: 'the body', at: '2026-01-01T00:00:00.000Z' });
          for (const [index, text] of ['from ', 'the ', 'cloud'].entries()) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            if (index === cloudFailsAfter) throw new UpstreamStatusError('broken');
            push({ text, logprobs: [] });
          }
          return { text: 'from the cloud', finishReason: 'stop' } as CloudCompletion;
        }
      : undefined,
  };
}
