/** A backend that fails: the device's answer stands in where there is one, a typed error where not. */
import type { Page } from '@playwright/test';
import { CLOUD_LABEL, CLOUD_TIMEOUT_MS, expect, LABELS, test, TICKET } from './fixtures.ts';
import { type Behaviour, RETRY_AFTER_SECONDS, Upstream } from './servers/upstream.ts';

const FAULTS: readonly { behaviour: Behaviour; code: string; status?: number; text?: string }[] = [
  { behaviour: 'status_500', code: 'upstream_status', status: 500 },
  { behaviour: 'rate_limited', code: 'rate_limited', status: 429 },
  { behaviour: 'hang', code: 'upstream_timeout' },
  { behaviour: 'malformed', code: 'upstream_malformed' },
  { behaviour: 'missing_fields', code: 'upstream_malformed' },
  { behaviour: 'wrong_type', code: 'upstream_malformed' },
  { behaviour: 'too_long', code: 'upstream_malformed' },
  { behaviour: 'cut', code: 'upstream_malformed' },
  { behaviour: 'redirect', code: 'upstream_network' },
  { behaviour: 'answer', code: 'upstream_malformed', text: 'I think it is about shipping.' },
];

for (const { behaviour, code, status, text } of FAULTS) {
  const name = text === undefined ? behaviour : 'an answer that is no label';

  test(`cascade, ${name}: the device's answer, marked so`, async ({ desk, upstream }) => {
    upstream.behaviour = behaviour;
    if (text !== undefined) upstream.text = text;
    const { value, ms } = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
    expect(value).toMatchObject({ value: 'billing', source: 'device', reason: 'cloud_failed', cloudError: { code } });
    expect(value?.cloudError?.status).toBe(status);
    expect(value?.local?.value).toBe('billing');
    expect(value?.receipt?.body).toBe(upstream.bodies[0]);
    expect(upstream.bodies).toHaveLength(1);
    expect(ms).toBeLessThan(CLOUD_TIMEOUT_MS + 10_000);
  });

  test(`only_in_cloud, ${name}: a typed error with the receipt`, async ({ desk, upstream }) => {
    upstream.behaviour = behaviour;
    if (text !== undefined) upstream.text = text;
    const { error } = await classifyInCloud(desk.page);
    expect(error).toMatchObject({ code, isFrontdeskError: true, receipt: { body: upstream.bodies[0] } });
    expect(error?.details?.status).toBe(status);
    expect(upstream.bodies).toHaveLength(1);
  });
}

test('prefer_in_cloud: the device answers where the cloud fails', async ({ desk, upstream }) => {
  upstream.behaviour = 'status_500';
  const { value } = await desk.classify(TICKET, { labels: LABELS, mode: 'prefer_in_cloud' });
  expect(value).toMatchObject({ value: 'billing', source: 'device', reason: 'cloud_failed', cloudError: { code: 'upstream_status' } });
});

test('where both fail the error names both', async ({ desk, upstream }) => {
  upstream.behaviour = 'status_500';
  const { error } = await desk.classify('far too long '.repeat(3000), { labels: LABELS });
  expect(error).toMatchObject({ code: 'no_answer', details: { deviceCode: 'context_overflow', cloudCode: 'upstream_status' } });
});

test('after Retry-After the backend is left alone until then', async ({ desk, upstream }) => {
  upstream.behaviour = 'rate_limited';
  const first = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  expect(first.value?.cloudError?.retryAfterMs).toBe(RETRY_AFTER_SECONDS * 1000);
  upstream.behaviour = 'answer';
  const second = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  expect(second.value).toMatchObject({ source: 'device', reason: 'cloud_paused', cloudError: { code: 'cloud_paused' } });
  expect(second.value?.cloudError?.retryAfterMs).toBeLessThanOrEqual(RETRY_AFTER_SECONDS * 1000);
  expect(second.value?.receipt).toBeUndefined();
  expect(upstream.bodies).toHaveLength(1);
});

test('a pause ends when its time has come', async ({ desk, upstream }) => {
  upstream.behaviour = 'rate_limited';
  await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  upstream.behaviour = 'answer';
  const { value } = await desk.page.evaluate(
    async ([text, labels, seconds]) => {
      const now = performance.now.bind(performance);
      performance.now = () => now() + seconds * 1000;
      const settled = await window.settle(window.desk.classify(text, { labels, threshold: 1 }));
      performance.now = now;
      return settled;
    },
    [TICKET, LABELS, RETRY_AFTER_SECONDS] as const,
  );
  expect(value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud', reason: 'low_confidence' });
});

test('without a cloud an unsure answer says that it would escalate', async ({ desk }) => {
  const outcome = await desk.page.evaluate(
    async ([text, labels]) => {
      const desk = await window.frontdesk.Frontdesk.create({ modelBaseUrl: '/models' });
      const settled = await window.settle(desk.classify(text, { labels, threshold: 1 }));
      await desk.destroy();
      return settled;
    },
    [TICKET, LABELS] as const,
  );
  expect(outcome.value).toMatchObject({ value: 'billing', source: 'device', reason: 'would_escalate' });
  expect(outcome.value?.cloudError).toBeUndefined();
});

test('the desk’s onSend is told of requests, failed ones too; a call’s own takes its place', async ({ desk, upstream }) => {
  upstream.behaviour = 'status_500';
  const told = await desk.page.evaluate(
    async ([text, labels, url]) => {
      const told: [string, string][] = [];
      const cloud = window.frontdesk.openaiCompatible({ url, model: 'big-model' });
      const desk = await window.frontdesk.Frontdesk.create({ mode: 'only_in_cloud', cloud, onSend: ({ body }) => told.push(['desk', body]) });
      await window.settle(desk.classify(text, { labels }));
      await window.settle(desk.classify(text, { labels, onSend: ({ body }) => told.push(['call', body]) }));
      await window.settle(desk.chat.completions.create({ messages: [{ role: 'user', content: text }] }));
      return told;
    },
    [TICKET, LABELS, Upstream.path] as const,
  );
  expect(upstream.bodies).toHaveLength(3);
  expect(told).toEqual([['desk', upstream.bodies[0]], ['call', upstream.bodies[1]], ['desk', upstream.bodies[2]]]);
});

test('only_in_cloud loads no model and answers from the cloud', async ({ desk, site }) => {
  const { value } = await classifyInCloud(desk.page);
  expect(value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud', reason: 'cloud_only', confidence: null });
  expect(value?.model).toBeUndefined();
  expect(site.log).toEqual(['POST /v1/chat/completions']);
});

function classifyInCloud(page: Page) {
  return page.evaluate(
    async ([text, labels, url, timeoutMs]) => {
      const cloud = window.frontdesk.openaiCompatible({ url, model: 'big-model', timeoutMs });
      const desk = await window.frontdesk.Frontdesk.create({ mode: 'only_in_cloud', cloud });
      return window.settle(desk.classify(text, { labels }));
    },
    [TICKET, LABELS, Upstream.path, CLOUD_TIMEOUT_MS] as const,
  );
}
