/** The AI SDK's own functions on a desk in the page: texts, streams, decided objects, vectors, and what is refused. */
import type { Page } from '@playwright/test';
import { expect, MEGABYTE, test, WORLDLY } from './adapters_fixtures.ts';
import { TICKET, toUpstream } from './fixtures.ts';
import type { Thrown } from './pages/adapters.ts';

const CLOUD_TEXT = 'A desk, a chair and 一个 lamp 🙂.';
const PROMPT = 'Name three things that one finds in an office.';
const TEAMS = ['billing', 'technical problem', 'shipping'];

/** What tests change of a call; everything else is the same for all. */
interface Given {
  readonly prompt?: string;
  readonly mode?: 'only_on_device' | 'only_in_cloud';
  readonly threshold?: number;
  readonly maxOutputTokens?: number;
}

test('a text is the desk’s, and says where it came from', async ({ desk }) => {
  const answer = await text(desk.page, {});
  const own = await desk.page.evaluate((content) => window.desk.chat.completions.create({ messages: [{ role: 'user', content }], max_tokens: 24 }, { threshold: 0 }), PROMPT);
  expect(answer.text).toBe(own.choices[0].message.content);
  expect(answer.finishReason).toBe(own.choices[0].finish_reason);
  expect(answer.usage).toMatchObject({ inputTokens: own.usage?.prompt_tokens, outputTokens: own.usage?.completion_tokens });
  expect(answer.frontdesk).toMatchObject({ source: 'device', reason: 'confident', local: { text: answer.text } });
  expect(answer.frontdesk?.confidence).toBeGreaterThan(0);
  expect(desk.requests).toEqual([]);
});

test('streamed it is the same text, in whole characters', async ({ desk }) => {
  const prompt = `Repeat exactly, and nothing else: ${WORLDLY}`;
  // With the prompt in the cache its last token is computed alone, and a little finer: now it is there for both.
  await text(desk.page, { prompt, maxOutputTokens: 1 });
  const whole = await text(desk.page, { prompt, maxOutputTokens: 48 });
  const streamed = await stream(desk.page, { prompt, maxOutputTokens: 48 });
  expect(streamed.pieces.join('')).toBe(whole.text);
  expect(streamed.pieces.length).toBeGreaterThan(4);
  expect(whole.text).toMatch(/\P{ASCII}/u);
  for (const piece of streamed.pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u);
  expect(streamed).toMatchObject({ finishReason: whole.finishReason, usage: whole.usage, frontdesk: { source: 'device' } });
  expect(desk.requests).toEqual([]);
});

test('what the device is unsure of is asked of the cloud, once, whole or streamed', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  expect(await text(desk.page, { threshold: 1 })).toMatchObject({ text: CLOUD_TEXT, frontdesk: { source: 'cloud', reason: 'low_confidence', receipt: { body: upstream.bodies[0] } } });
  const streamed = await stream(desk.page, { threshold: 1 });
  expect(streamed.pieces.join('')).toBe(CLOUD_TEXT);
  expect(streamed.frontdesk).toMatchObject({ source: 'cloud', confidence: null });
  expect(toUpstream(desk.requests)).toHaveLength(2);
  expect(desk.requests).toHaveLength(2);
});

test('only_on_device sends nothing, and neither does the AI SDK', async ({ desk, site, upstream }) => {
  const only = { mode: 'only_on_device', threshold: 1 } as const;
  expect(await text(desk.page, only)).toMatchObject({ frontdesk: { source: 'device', reason: 'device_only' } });
  expect((await stream(desk.page, only)).pieces.join('')).not.toBe('');
  expect(await object(desk.page, only)).toMatchObject({ frontdesk: { source: 'device' } });
  expect([desk.requests, site.log, upstream.bodies]).toEqual([[], [], []]);
});

test('instructions and earlier turns reach the model as they are', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  await desk.page.evaluate(async (worldly) => {
    const { ai, frontdeskProvider } = window.adapters;
    await ai.generateText({
      model: frontdeskProvider(window.desk).languageModel('a-label'),
      instructions: 'Be brief.',
      messages: [
        { role: 'user', content: [{ type: 'text', text: worldly }, { type: 'text', text: 'Translate.' }] },
        { role: 'assistant', content: 'Well.' },
        { role: 'user', content: 'Go on.' },
      ],
      temperature: 0.5,
      stopSequences: ['###'],
      providerOptions: { frontdesk: { mode: 'only_in_cloud' } },
    });
  }, WORLDLY);
  expect(JSON.parse(upstream.bodies[0] ?? '')).toMatchObject({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: `${WORLDLY}\nTranslate.` },
      { role: 'assistant', content: 'Well.' },
      { role: 'user', content: 'Go on.' },
    ],
    temperature: 0.5,
    stop: ['###'],
  });
});

test('an object of enumerations and booleans is decided, exactly as decide does', async ({ desk }) => {
  const answer = await object(desk.page, { threshold: 0 });
  const own = await desk.page.evaluate(
    async ([state, teams]) => {
      const criteria = Object.fromEntries(teams.map((team) => [team, null]));
      return window.desk.decide({ state, questions: { team: { type: 'choice', instructions: 'Which team answers?', criteria } } }, { threshold: 0 });
    },
    [TICKET, TEAMS] as const,
  );
  expect(answer.object).toMatchObject({ kind: 'ticket', team: own.answers.team?.choice });
  expect(typeof answer.object.isUrgent).toBe('boolean');
  expect(answer.frontdesk).toMatchObject({ source: 'device', fields: { team: { source: 'device', probabilitiesFrom: 'device' }, isUrgent: { source: 'device' } } });
  const { confidence, fields } = answer.frontdesk as unknown as { confidence: number; fields: Record<string, { confidence: number }> };
  expect(confidence).toBe(Math.min(...Object.values(fields).map((field) => field.confidence)));
  expect(desk.requests).toEqual([]);
});

test('a value that the cloud gave makes the object the cloud’s', async ({ desk, upstream }) => {
  upstream.text = (body) => (body.includes('Which team answers?') ? 'shipping' : 'yes');
  const answer = await object(desk.page, { threshold: 1 });
  expect(answer.object).toEqual({ kind: 'ticket', team: 'shipping', isUrgent: true });
  expect(answer.frontdesk).toMatchObject({ source: 'cloud', reason: 'low_confidence', confidence: null });
  expect(toUpstream(desk.requests)).toHaveLength(2);
});

test('every way to ask for a small object is answered', async ({ desk }) => {
  const found = await desk.page.evaluate(
    async ([prompt, teams]) => {
      const { ai, z, frontdeskProvider } = window.adapters;
      const model = frontdeskProvider(window.desk)();
      const call = { model, prompt, providerOptions: { frontdesk: { mode: 'only_on_device' } } } as const;
      const schema = z.object({ team: z.enum(teams as [string, ...string[]]) });
      const streamed = ai.streamText({ ...call, output: ai.Output.object({ schema }) });
      const parts: unknown[] = [];
      for await (const part of streamed.partialOutputStream) parts.push(part);
      return {
        choice: (await ai.generateText({ ...call, output: ai.Output.choice({ options: [...teams] }) })).output,
        enumerated: (await ai.generateObject({ ...call, output: 'enum', enum: [...teams] })).object,
        object: (await ai.generateText({ ...call, output: ai.Output.object({ schema }) })).output.team,
        plain: (await ai.generateObject({ ...call, schema: ai.jsonSchema<{ team: string }>({ type: 'object', properties: { team: { enum: [...teams] } } }) })).object.team,
        streamed: ((await streamed.output)).team,
        last: parts.at(-1),
      };
    },
    [TICKET, TEAMS] as const,
  );
  const { last, ...values } = found;
  for (const value of Object.values(values)) expect(TEAMS).toContain(value);
  expect(last).toEqual({ team: found.streamed });
  expect(desk.requests).toEqual([]);
});

test('settings that the model does not have are warned of', async ({ desk }) => {
  const warnings = await desk.page.evaluate(async () => {
    const { ai, frontdeskProvider } = window.adapters;
    const answer = await ai.generateText({ model: frontdeskProvider(window.desk)(), prompt: 'Hello', maxOutputTokens: 2, presencePenalty: 0.5, frequencyPenalty: 0, reasoning: 'high' });
    return answer.warnings;
  });
  expect(warnings).toEqual([{ type: 'unsupported', feature: 'presencePenalty' }, { type: 'unsupported', feature: 'reasoning' }]);
});

test('what cannot be had is refused before anything runs or is sent', async ({ desk }) => {
  const errors = await desk.page.evaluate(async () => {
    const { ai, z, frontdeskProvider, thrown } = window.adapters;
    const provider = frontdeskProvider(window.desk);
    const call = { model: provider(), prompt: 'Hello' };
    const image = { type: 'file', mediaType: 'image/png', data: new Uint8Array([1, 2, 3]) } as const;
    const withSchema = (schema: object) => thrown(() => ai.generateObject({ ...call, schema: ai.jsonSchema(schema) }));
    return {
      tools: await thrown(() => ai.generateText({ ...call, tools: { now: ai.tool({ inputSchema: z.object({}), execute: () => 'noon' }) } })),
      images: await thrown(() => ai.generateText({ model: provider(), messages: [{ role: 'user', content: [image] }] })),
      'free texts': await thrown(() => ai.generateObject({ ...call, schema: z.object({ name: z.string() }) })),
      arrays: await thrown(() => ai.generateText({ ...call, output: ai.Output.array({ element: z.enum(['a', 'b']) }) })),
      'no schema': await thrown(() => ai.generateObject({ ...call, output: 'no-schema' })),
      'references to itself': await withSchema({ $ref: '#' }),
      'thousands of values': await withSchema({ type: 'object', properties: { a: { enum: Array.from({ length: 5000 }, (_, index) => `v${index}`) } } }),
      'an image model': await thrown(() => ai.generateImage({ model: provider.imageModel('x'), prompt: 'Hello' })),
    };
  });
  for (const [what, error] of Object.entries(errors)) {
    expect(error, what).toMatchObject({ isFrontdeskError: true, code: 'invalid_input' });
    expect(error.isUnsupported, what).toBe(what !== 'an image model');
  }
  expect(desk.requests).toEqual([]);
});

test('errors of the desk come as they are: input, options, backend', async ({ desk, upstream }) => {
  const long = { prompt: MEGABYTE, mode: 'only_on_device' } as const;
  expect(await failure(desk.page, long)).toMatchObject({ isFrontdeskError: true, code: 'context_overflow' });
  expect(await failure(desk.page, { threshold: 2 })).toMatchObject({ isFrontdeskError: true, code: 'invalid_input', isUnsupported: false });
  expect(await failure(desk.page, { shiny: true })).toMatchObject({ isFrontdeskError: true, code: 'invalid_input' });
  expect(desk.requests).toEqual([]);
  upstream.behaviour = 'status_500';
  expect(await failure(desk.page, { mode: 'only_in_cloud' })).toMatchObject({ isFrontdeskError: true, code: 'upstream_status' });
  expect(upstream.bodies).toHaveLength(1);
  upstream.behaviour = 'rate_limited';
  expect(await failure(desk.page, { mode: 'only_in_cloud' })).toMatchObject({ isFrontdeskError: true, code: 'rate_limited' });
  expect(upstream.bodies).toHaveLength(2);
});

test('a stream that fails tells its error, at once or later', async ({ desk, upstream }) => {
  expect((await stream(desk.page, { prompt: MEGABYTE, mode: 'only_on_device' })).error).toMatchObject({ code: 'context_overflow', isFrontdeskError: true });
  upstream.behaviour = 'cut';
  upstream.text = CLOUD_TEXT;
  const { pieces, error } = await stream(desk.page, { mode: 'only_in_cloud' });
  expect(pieces).toEqual(['A ']);
  expect(error).toMatchObject({ code: 'upstream_malformed', isFrontdeskError: true });
});

test('an empty prompt is answered, alone and in an object', async ({ desk }) => {
  expect((await text(desk.page, { prompt: '', maxOutputTokens: 4 })).frontdesk).toMatchObject({ source: 'device' });
  expect(TEAMS).toContain((await object(desk.page, { prompt: '', threshold: 0 })).object.team);
});

test('an abort stops the work, whole or streamed, and the desk goes on', async ({ desk }) => {
  const found = await desk.page.evaluate(async (prompt) => {
    const { ai, frontdeskProvider, thrown, count } = window.adapters;
    const call = { model: frontdeskProvider(window.desk)(), prompt, maxOutputTokens: 400, providerOptions: { frontdesk: { threshold: 0 } } };
    const early = await thrown(() => ai.generateText({ ...call, abortSignal: AbortSignal.abort() }));
    const later = new AbortController();
    const waiting = thrown(() => ai.generateText({ ...call, abortSignal: later.signal }));
    setTimeout(() => { later.abort(); }, 100);
    const whole = await waiting;
    const stopped = new AbortController();
    const kinds: string[] = [];
    for await (const part of ai.streamText({ ...call, abortSignal: stopped.signal }).stream) {
      kinds.push(part.type);
      if (kinds.filter((kind) => kind === 'text-delta').length === 3) stopped.abort();
    }
    const left = await count(ai.streamText(call).textStream, (found) => found === 2);
    return { early, whole, last: kinds.at(-1), left };
  }, PROMPT);
  expect(found).toMatchObject({ early: { domName: 'AbortError' }, whole: { domName: 'AbortError' }, last: 'abort', left: 2 });
  expect((await text(desk.page, { maxOutputTokens: 2 })).usage).toMatchObject({ outputTokens: 2 });
});

test('the provider is one of the AI SDK, also in its registry', async ({ desk }) => {
  const found = await desk.page.evaluate(async () => {
    const { ai, frontdeskProvider } = window.adapters;
    const provider = frontdeskProvider(window.desk);
    const registry = ai.createProviderRegistry({ desk: provider });
    const { text } = await ai.generateText({ model: registry.languageModel('desk:small'), prompt: 'Hello', maxOutputTokens: 2 });
    return { version: provider.specificationVersion, own: provider().modelId, named: provider('small').modelId, text };
  });
  expect(found).toMatchObject({ version: 'v4', own: 'smollm2-135m-instruct', named: 'small' });
  expect(found.text).not.toBe('');
});

type Metadata = Readonly<Record<string, unknown>> | undefined;

function text(page: Page, given: Given): Promise<{ text: string; finishReason: string; usage: object; frontdesk: (Metadata & { confidence?: number }) | undefined }> {
  return page.evaluate(
    async ([{ prompt, mode, threshold = 0, maxOutputTokens = 24 }, otherwise]) => {
      const { ai, frontdeskProvider } = window.adapters;
      const options = { threshold, ...(mode && { mode }) };
      const answer = await ai.generateText({ model: frontdeskProvider(window.desk)(), prompt: prompt ?? otherwise, maxOutputTokens, providerOptions: { frontdesk: options } });
      const { text, finishReason, usage, providerMetadata } = answer;
      return { text, finishReason, usage, frontdesk: providerMetadata?.frontdesk as Metadata };
    },
    [given, PROMPT] as const,
  );
}

function stream(page: Page, given: Given): Promise<{ pieces: string[]; finishReason?: string; usage?: object; frontdesk?: Metadata; error?: Thrown }> {
  return page.evaluate(
    async ([{ prompt, mode, threshold = 0, maxOutputTokens = 24 }, otherwise]) => {
      const { ai, frontdeskProvider, thrown } = window.adapters;
      const options = { threshold, ...(mode && { mode }) };
      let error: unknown;
      const answer = ai.streamText({
        model: frontdeskProvider(window.desk)(),
        prompt: prompt ?? otherwise,
        maxOutputTokens,
        providerOptions: { frontdesk: options },
        onError: (event) => {
          error = event.error;
        },
      });
      const pieces: string[] = [];
      for await (const piece of answer.textStream) pieces.push(piece);
      if (error !== undefined) return { pieces, error: await thrown(() => { throw error; }) };
      const metadata = await answer.providerMetadata;
      return { pieces, finishReason: await answer.finishReason, usage: await answer.usage, frontdesk: metadata?.frontdesk as Metadata };
    },
    [given, PROMPT] as const,
  );
}

function object(page: Page, given: Given): Promise<{ object: { kind: string; team: string; isUrgent: boolean }; frontdesk: Metadata }> {
  return page.evaluate(
    async ([{ prompt, ...options }, otherwise, teams]) => {
      const { ai, z, frontdeskProvider } = window.adapters;
      const schema = z.object({
        kind: z.literal('ticket'),
        team: z.enum(teams as [string, ...string[]]).describe('Which team answers?'),
        isUrgent: z.boolean().describe('Is it urgent?'),
      });
      const answer = await ai.generateObject({ model: frontdeskProvider(window.desk)(), schema, prompt: prompt ?? otherwise, providerOptions: { frontdesk: options } });
      return { object: answer.object, frontdesk: answer.providerMetadata?.frontdesk as Metadata };
    },
    [given, TICKET, TEAMS] as const,
  );
}

/** What a whole text is refused with; the AI SDK may try again where it wants to. */
function failure(page: Page, { prompt, ...options }: Given & { shiny?: boolean }): Promise<Thrown> {
  return page.evaluate(
    ([prompt, options]) => {
      const { ai, frontdeskProvider, thrown } = window.adapters;
      return thrown(() => ai.generateText({ model: frontdeskProvider(window.desk)(), prompt, providerOptions: { frontdesk: options } }));
    },
    [prompt ?? PROMPT, options] as const,
  );
}
