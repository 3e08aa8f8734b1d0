/** The five modes as a table: who is asked, who answers, and why. */
import { expect, test } from '@playwright/test';
import { askWhole } from '../../../www/sdk/src/cascade.ts';
import { BackendError, UpstreamStatusError } from '../../../www/sdk/src/errors.ts';
import type { Decision, Mode } from '../../../www/sdk/src/protocol.ts';
import { Run } from '../../../www/sdk/src/run.ts';

type Device = 'sure' | 'unsure' | 'broken';
type Cloud = 'well' | 'broken' | 'absent';

/** Mode, device, cloud -> who answers, why, and who was asked. */
const TABLE: readonly [Mode, Device, Cloud, string, string][] = [
  ['only_on_device', 'unsure', 'well', 'device device_only', 'device'],
  ['only_on_device', 'broken', 'well', 'error backend', 'device'],
  ['prefer_on_device', 'unsure', 'well', 'device device_preferred', 'device'],
  ['prefer_on_device', 'broken', 'well', 'cloud local_failed', 'device cloud'],
  ['prefer_on_device', 'broken', 'broken', 'error no_answer', 'device cloud'],
  ['prefer_on_device', 'broken', 'absent', 'error backend', 'device'],
  ['cascade', 'sure', 'well', 'device confident', 'device'],
  ['cascade', 'unsure', 'well', 'cloud low_confidence', 'device cloud'],
  ['cascade', 'unsure', 'broken', 'device cloud_failed', 'device cloud'],
  ['cascade', 'unsure', 'absent', 'device would_escalate', 'device'],
  ['cascade', 'broken', 'well', 'cloud local_failed', 'device cloud'],
  ['cascade', 'broken', 'broken', 'error no_answer', 'device cloud'],
  ['prefer_in_cloud', 'sure', 'well', 'cloud cloud_preferred', 'cloud'],
  ['prefer_in_cloud', 'sure', 'broken', 'device cloud_failed', 'cloud device'],
  ['prefer_in_cloud', 'broken', 'broken', 'error no_answer', 'cloud device'],
  ['only_in_cloud', 'sure', 'well', 'cloud cloud_only', 'cloud'],
  ['only_in_cloud', 'sure', 'broken', 'error upstream_status', 'cloud'],
];

for (const [mode, device, cloud, expected, expectedAsked] of TABLE) {
  test(`${mode}: device ${device}, cloud ${cloud}`, async () => {
    const asked: string[] = [];
    const ask = () =>
      askWhole(mode, new Run(), {
        device: () => {
          asked.push('device');
          if (device === 'broken') return Promise.reject(new BackendError('broken'));
          return Promise.resolve({ decision: decisionOf(mode, device) });
        },
        cloud:
          cloud === 'absent'
            ? undefined
            : () => {
                asked.push('cloud');
                return cloud === 'broken' ? Promise.reject(new UpstreamStatusError('broken')) : Promise.resolve({});
              },
      });
    const got = await ask().then(
      ({ source, reason }) => `${source} ${reason}`,
      (error: unknown) => `error ${(error as BackendError).code}`,
    );
    expect(got).toBe(expected);
    expect(asked.join(' ')).toBe(expectedAsked);
  });
}

/** As the worker decides. */
function decisionOf(mode: Mode, device: Device): Decision {
  if (mode === 'only_on_device') return { action: 'answer', reason: 'device_only' };
  if (mode === 'prefer_on_device') return { action: 'answer', reason: 'device_preferred' };
  return device === 'sure' ? { action: 'answer', reason: 'confident' } : { action: 'escalate', reason: 'low_confidence' };
}
