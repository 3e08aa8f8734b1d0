/** Jobs and crashes: one listener for each job, gone when it ends, and a trap that no promise reports. */
import { expect, test } from '@playwright/test';
import { EngineCrashedError } from '../../../www/sdk/src/errors.ts';
import { type OnCrash, runJob } from '../../../www/sdk/src/job_queue.ts';

type Listener = Parameters<OnCrash>[0];

test('a job listens once, however many steps it takes, and no more when it is done', async () => {
  const { listeners, onCrash, registered } = crashes();
  let steps = 0;
  let freed = 0;
  const job = {
    step: () => {
      steps += 1;
      expect(listeners.size).toBe(1);
      return Promise.resolve(steps < 50 ? ({ type: 'idle' } as const) : ({ type: 'done', result: 'well' } as const));
    },
    free: () => {
      freed += 1;
    },
  };
  expect(await runJob(job, { signal: new AbortController().signal, onCrash, onEvent: () => undefined })).toBe('well');
  expect([steps, freed, registered(), listeners.size]).toEqual([50, 1, 1, 0]);
});

test('a crash ends a job whose step never settles, and its memory is not touched again', async () => {
  const { listeners, onCrash } = crashes();
  let freed = 0;
  const job = { step: () => new Promise<never>(() => undefined), free: () => (freed += 1) };
  const running = runJob(job, { signal: new AbortController().signal, onCrash, onEvent: () => undefined });
  for (const listener of [...listeners]) listener(new EngineCrashedError('trapped'));
  await expect(running).rejects.toMatchObject({ code: 'engine_crashed' });
  expect([freed, listeners.size]).toEqual([0, 0]);
});

function crashes() {
  const listeners = new Set<Listener>();
  let registered = 0;
  const onCrash: OnCrash = (listener) => {
    registered += 1;
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return { listeners, onCrash, registered: () => registered };
}
