/** Outside of browsers: the package loads, and says why no model can. */
import { expect, test } from '@playwright/test';
import { frontdeskProvider } from '../../www/sdk/dist/adapters/ai_sdk.js';
import { openaiFetch } from '../../www/sdk/dist/adapters/openai_fetch.js';
import { LanguageModel } from '../../www/sdk/dist/adapters/prompt_api.js';
import { Frontdesk, openaiCompatible } from '../../www/sdk/dist/index.js';

test('a desk with a model names what is missing', async () => {
  await expect(Frontdesk.create({ mode: 'only_on_device' })).rejects.toMatchObject({ code: 'unsupported_browser' });
});

test('a desk for the cloud alone is made', async () => {
  const cloud = openaiCompatible({ url: 'http://127.0.0.1:9/v1/chat/completions', model: 'any' });
  const desk = await Frontdesk.create({ mode: 'only_in_cloud', cloud });
  expect(desk.info).toBeUndefined();
  await desk.destroy();
});

test('the adapters load, and share the errors of the package', async () => {
  const cloud = openaiCompatible({ url: 'http://127.0.0.1:9/v1/chat/completions', model: 'any' });
  const desk = await Frontdesk.create({ mode: 'only_in_cloud', cloud });
  expect(frontdeskProvider(desk)().modelId).toBe('cloud');
  expect((await openaiFetch(desk)('http://127.0.0.1:9/v1/models')).status).toBe(200);
  const { signal } = new AbortController();
  const session = await LanguageModel.create({ frontdesk: desk, signal });
  expect(session.contextWindow).toBe(Infinity);
  await desk.destroy();
  await expect(session.prompt('Hello')).rejects.toMatchObject({ name: 'InvalidStateError', cause: { code: 'destroyed' } });
  await expect(LanguageModel.create()).rejects.toMatchObject({ name: 'NotSupportedError', cause: { code: 'unsupported_browser' } });
});
