/** Classification: who answers, what leaves the device, and what the answer says about itself. */
import { CLOUD_LABEL, expect, LABELS, test, TICKET, toUpstream } from './fixtures.ts';

const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';

test('a confident answer makes no request at all', async ({ desk, site }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  expect(value).toMatchObject({ source: 'device', reason: 'confident', cost: null, guarantee: { kind: 'none' } });
  expect(value?.model).toMatchObject({ id: 'smollm2-135m-instruct', sha256: SHA256, backend: 'wasm' });
  expect(value?.receipt).toBeUndefined();
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('the probabilities are those of the labels, in their order, and the value is the likeliest', async ({ desk }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  const probabilities = value?.probabilities ?? [];
  expect(probabilities.map(({ label }) => label)).toEqual(LABELS);
  expect(probabilities.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
  const likeliest = probabilities.reduce((best, next) => (next.probability > best.probability ? next : best));
  expect(value?.value).toBe(likeliest.label);
  expect(value?.value).toBe('billing');
  expect(value?.confidence).toBeGreaterThan(0);
  expect(value?.confidence).toBeLessThan(1);
});

test('an unsure answer makes exactly one request, and its receipt is what arrived', async ({ desk, site, upstream }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 1 });
  expect(value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud', reason: 'low_confidence', confidence: null });
  expect(value).toMatchObject({ cost: { inputTokens: 42, outputTokens: 3 }, local: { value: 'billing', decision: { action: 'escalate' } } });
  expect(desk.requests).toEqual([`POST ${site.origin}/v1/chat/completions`]);
  expect(site.log).toEqual(['POST /v1/chat/completions']);

  const [body = ''] = upstream.bodies;
  expect(JSON.parse(body)).toEqual({
    model: 'big-model',
    temperature: 0,
    messages: [
      { role: 'system', content: expect.stringContaining(LABELS.map((label) => `- ${label}`).join('\n')) as unknown },
      { role: 'user', content: TICKET },
    ],
  });
  expect(value?.receipt).toMatchObject({ url: `${site.origin}/v1/chat/completions`, body, bytes: Buffer.byteLength(body) });
  expect(Date.parse(value?.receipt?.at ?? '')).not.toBeNaN();
  expect(upstream.headers[0]).not.toHaveProperty('authorization');
});

test('the threshold is what decides', async ({ desk }) => {
  const measured = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  const confidence = measured.value?.confidence ?? Number.NaN;
  const below = await desk.classify(TICKET, { labels: LABELS, threshold: confidence / 2 });
  expect(below.value).toMatchObject({ source: 'device', reason: 'confident' });
  expect(desk.requests).toEqual([]);
  const above = await desk.classify(TICKET, { labels: LABELS, threshold: (1 + confidence) / 2 });
  expect(above.value).toMatchObject({ source: 'cloud', reason: 'low_confidence' });
  expect(toUpstream(desk.requests)).toHaveLength(1);
});

test('only_on_device makes no request, however unsure it is', async ({ desk, site }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 1, mode: 'only_on_device' });
  expect(value).toMatchObject({ value: 'billing', source: 'device', reason: 'device_only' });
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('only_on_device makes no request where the text does not fit either', async ({ desk, site }) => {
  const { error } = await desk.classify('far too long '.repeat(3000), { labels: LABELS, threshold: 1, mode: 'only_on_device' });
  expect(error).toMatchObject({ code: 'context_overflow', isFrontdeskError: true });
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('a text that does not fit the device goes to the cloud in cascade', async ({ desk, upstream }) => {
  const { value } = await desk.classify('far too long '.repeat(3000), { labels: LABELS });
  expect(value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud', reason: 'local_failed' });
  expect(value?.local).toBeUndefined();
  expect(upstream.bodies).toHaveLength(1);
});

test('prefer_on_device stays on the device, however unsure it is', async ({ desk }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 1, mode: 'prefer_on_device' });
  expect(value).toMatchObject({ source: 'device', reason: 'device_preferred' });
  expect(desk.requests).toEqual([]);
});

test('prefer_in_cloud asks the cloud, however sure the device would be', async ({ desk }) => {
  const { value } = await desk.classify(TICKET, { labels: LABELS, threshold: 0, mode: 'prefer_in_cloud' });
  expect(value).toMatchObject({ value: CLOUD_LABEL, source: 'cloud', reason: 'cloud_preferred' });
  expect(value?.timing.localMs).toBeUndefined();
  expect(toUpstream(desk.requests)).toHaveLength(1);
});

test('the same prompt again is mostly in the cache', async ({ desk }) => {
  const first = await desk.classify(TICKET, { labels: LABELS, threshold: 0 });
  const second = await desk.classify('My parcel has not arrived yet.', { labels: LABELS, threshold: 0 });
  expect(second.value?.local?.usage.cachedTokens).toBeGreaterThan(0);
  expect(second.value?.local?.usage.promptTokens).toBeGreaterThan(second.value?.local?.usage.cachedTokens ?? Infinity);
  expect(first.value?.value).toBe('billing');
});

test('senseless input is refused before anything runs', async ({ desk }) => {
  const same = await desk.classify(TICKET, { labels: ['a', 'a'] });
  const few = await desk.classify(TICKET, { labels: ['a'] });
  const wild = await desk.classify(TICKET, { labels: LABELS, threshold: 1.5 });
  for (const { error } of [same, few, wild]) expect(error).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
  expect(desk.requests).toEqual([]);
});
