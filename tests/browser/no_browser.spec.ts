/** Outside of browsers: the package loads, and says why no model can. */
import { expect, test } from '@playwright/test';
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
