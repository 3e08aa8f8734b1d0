/** The Prompt API's shape on a desk in the page: sessions, their order and their conversations, and its errors. */
import type { Page } from '@playwright/test';
import { addAdapters, expect, MEGABYTE, test, WORLDLY } from './adapters_fixtures.ts';
import { openPage, TICKET, toUpstream } from './fixtures.ts';
import type { adapters } from './pages/adapters.ts';

const CLOUD_TEXT = 'A desk, a chair and 一个 lamp 🙂.';
const ASK = 'Name three things that one finds in an office.';

type Ours = (typeof adapters)['LanguageModel'];
type Session = Awaited<ReturnType<Ours['create']>>;
type Messages = { role: string; content: string }[];

/** What is claimed to be there is what the browser's own types say. */
type Claimed = 'prompt' | 'promptStreaming' | 'append' | 'contextUsage' | 'contextWindow' | 'clone' | 'destroy' | 'oncontextoverflow';
interface Standard {
  availability(options?: LanguageModelCreateCoreOptions): Promise<Availability>;
  create(options?: LanguageModelCreateOptions): Promise<Pick<LanguageModel, Exclude<Claimed, 'clone'>> & { clone(options?: LanguageModelCloneOptions): Promise<unknown> }>;
}
export const isStandard: Ours extends Standard ? true : false = true;

test('a session answers, whole or in pieces, with the same text', async ({ desk }) => {
  const found = await desk.page.evaluate(async (ask) => {
    const { LanguageModel } = window.adapters;
    const options = { frontdesk: window.desk, initialPrompts: [{ role: 'system', content: 'You are brief.' }] } as const;
    const [first, second] = [await LanguageModel.create(options), await LanguageModel.create(options)];
    const call = { frontdesk: { threshold: 0, max_tokens: 24 } };
    const before = [first.contextUsage, first.contextWindow, first.frontdesk];
    // With the prompt in the cache its last token is computed alone, and a little finer: now it is there for both.
    await (await LanguageModel.create(options)).prompt(ask, { frontdesk: { threshold: 0, max_tokens: 1 } });
    const whole = await first.prompt(ask, call);
    const pieces: string[] = [];
    for await (const piece of second.promptStreaming(ask, call)) pieces.push(piece);
    return { before, whole, pieces, usage: first.contextUsage, provenance: [first.frontdesk, second.frontdesk] };
  }, `${ASK} ${WORLDLY}`);
  expect(found.before).toEqual([0, 2048, undefined]);
  expect(found.whole).not.toBe('');
  expect(found.pieces.join('')).toBe(found.whole);
  expect(found.pieces.length).toBeGreaterThan(4);
  for (const piece of found.pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u);
  expect(found.usage).toBeGreaterThan(24);
  for (const provenance of found.provenance) expect(provenance).toMatchObject({ source: 'device', reason: 'confident', local: { text: found.whole } });
  expect(desk.requests).toEqual([]);
});

test('what the device is unsure of is asked of the cloud, once, whole or streamed', async ({ desk, upstream }) => {
  upstream.text = CLOUD_TEXT;
  const found = await inSession(desk.page, async (session, ask) => {
    const call = { frontdesk: { threshold: 1 } };
    const whole = await session.prompt(ask, call);
    const source = session.frontdesk?.source;
    let streamed = '';
    for await (const piece of session.promptStreaming(ask, call)) streamed += piece;
    return [whole, source, streamed, session.frontdesk?.source];
  });
  expect(found).toEqual([CLOUD_TEXT, 'cloud', CLOUD_TEXT, 'cloud']);
  expect(toUpstream(desk.requests)).toHaveLength(2);
  expect(desk.requests).toHaveLength(2);
});

test('only_on_device sends nothing, however unsure', async ({ desk, site, upstream }) => {
  const found = await inSession(desk.page, async (session, ask) => {
    const call = { frontdesk: { mode: 'only_on_device', threshold: 1, max_tokens: 12 } } as const;
    const texts = [await session.prompt(ask, call)];
    for await (const piece of session.promptStreaming(ask, call)) texts.push(piece);
    texts.push(await session.prompt(ask, { ...call, responseConstraint: { type: 'boolean' } }));
    return texts.join('');
  });
  expect(found).toMatch(/(true|false)$/);
  expect([desk.requests, site.log, upstream.bodies]).toEqual([[], [], []]);
});

test('prompts of a session are answered in order, each with all that came before', async ({ desk, upstream }) => {
  upstream.text = (body) => `to ${(JSON.parse(body) as { messages: Messages }).messages.at(-1)?.content ?? ''}`;
  const answers = await inCloud(desk.page, async (session, call) => {
    const work = [session.prompt('one', call), session.append([{ role: 'user', content: 'noted' }]), session.prompt([{ role: 'user', content: [{ type: 'text', value: 'two' }, { type: 'text', value: '🙂' }] }], call)];
    let streamed = '';
    for await (const piece of session.promptStreaming('three', call)) streamed += piece;
    return [...(await Promise.all(work)), streamed];
  });
  expect(answers).toEqual(['to one', undefined, 'to two\n🙂', 'to three']);
  const last = (JSON.parse(upstream.bodies.at(-1) ?? '') as { messages: Messages }).messages;
  expect(last.map(({ role, content }) => `${role}: ${content}`)).toEqual([
    'system: Be brief.',
    'user: one',
    'assistant: to one',
    'user: noted',
    'user: two\n🙂',
    'assistant: to two\n🙂',
    'user: three',
  ]);
});

test('a clone goes on from the same conversation, and neither hears of the other', async ({ desk, upstream }) => {
  upstream.text = 'Yes.';
  await inCloud(desk.page, async (session, call) => {
    await session.prompt('one', call);
    const copy = await session.clone();
    await session.prompt('left', call);
    session.destroy();
    await copy.prompt('right', call);
  });
  const spoken = upstream.bodies.map((body) => (JSON.parse(body) as { messages: Messages }).messages.filter(({ role }) => role === 'user').map(({ content }) => content));
  expect(spoken).toEqual([['one'], ['one', 'left'], ['one', 'right']]);
});

test('what is aborted, waiting or under way, leaves no trace, and the next prompt is answered', async ({ desk, upstream }) => {
  upstream.text = 'Yes.';
  const found = await inCloud(desk.page, async (session, call) => {
    const { thrown } = window.adapters;
    const [running, waiting, cancelled] = [new AbortController(), new AbortController(), new AbortController()];
    const device = { frontdesk: { mode: 'only_on_device', max_tokens: 400 } } as const;
    const first = thrown(() => session.prompt('aborted under way', { ...device, signal: running.signal }));
    const second = thrown(() => session.prompt('aborted while waiting', { ...device, signal: waiting.signal }));
    waiting.abort(new Error('my reason'));
    const waited = await second;
    running.abort();
    const ran = await first;
    const early = await thrown(() => session.prompt('never begun', { signal: AbortSignal.abort() }));
    const reader = session.promptStreaming('left', device).getReader();
    await reader.read();
    await reader.cancel();
    const streamed = await thrown(async () => {
      for await (const piece of session.promptStreaming('stopped', { ...device, signal: cancelled.signal })) if (piece !== '') cancelled.abort();
    });
    return { waited, ran, early, streamed, answer: await session.prompt('answered', call) };
  });
  expect(found.waited).toMatchObject({ message: 'my reason' });
  for (const error of [found.ran, found.early, found.streamed]) expect(error).toMatchObject({ domName: 'AbortError', isDomException: true });
  expect(found.answer).toBe('Yes.');
  expect((JSON.parse(upstream.bodies.at(-1) ?? '') as { messages: Messages }).messages).toEqual([{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'answered' }]);
});

test('small schemas are answered with JSON, as a whole and in a stream', async ({ desk }) => {
  const found = await desk.page.evaluate(async (ticket) => {
    const session = await window.adapters.LanguageModel.create({ frontdesk: window.desk });
    const call = { frontdesk: { mode: 'only_on_device' } } as const;
    const teams = { enum: ['billing', 'shipping'], description: 'Which team answers?' };
    const boolean = await session.prompt(ticket, { ...call, responseConstraint: { type: 'boolean', description: 'Is money wanted back?' } });
    const team = await session.prompt(ticket, { ...call, responseConstraint: teams, omitResponseConstraintInput: true });
    let object = '';
    for await (const piece of session.promptStreaming(ticket, { ...call, responseConstraint: { type: 'object', properties: { team: teams } } })) object += piece;
    return { boolean, team, object, provenance: session.frontdesk };
  }, TICKET);
  expect(typeof JSON.parse(found.boolean)).toBe('boolean');
  expect(['billing', 'shipping']).toContain(JSON.parse(found.team));
  expect(['billing', 'shipping']).toContain((JSON.parse(found.object) as { team: string }).team);
  expect(found.provenance).toMatchObject({ source: 'device', fields: { team: { reason: 'device_only' } } });
  expect(desk.requests).toEqual([]);
});

test('what is not to be had is a NotSupportedError, and nothing is sent', async ({ desk }) => {
  const errors = await inSession(desk.page, async (session, ask) => {
    const { LanguageModel, thrown } = window.adapters;
    const frontdesk = window.desk;
    const image = { type: 'image', value: new Blob() } as const;
    const of = (responseConstraint: object) => thrown(() => session.prompt(ask, { responseConstraint }));
    return {
      images: await thrown(() => session.prompt([{ role: 'user', content: [image] }])),
      prefixes: await thrown(() => session.prompt([{ role: 'assistant', content: 'I am', prefix: true }])),
      tools: await thrown(() => LanguageModel.create({ frontdesk, tools: [{ name: 'now' }] })),
      'expected images': await thrown(() => LanguageModel.create({ frontdesk, expectedInputs: [{ type: 'image' }] })),
      patterns: await of(/yes|no/),
      'free texts': await of({ type: 'string' }),
      references: await of({ $ref: '#' }),
    };
  });
  for (const [what, error] of Object.entries(errors)) expect(error, what).toMatchObject({ domName: 'NotSupportedError', isDomException: true });
  expect(errors['free texts'].causeCode).toBe('invalid_input');
  expect(desk.requests).toEqual([]);
});

test('a megabyte does not fit, whole or streamed, and the conversation goes on', async ({ desk }) => {
  const { errors, answer } = await desk.page.evaluate(async (text) => {
    const { LanguageModel, thrown, count } = window.adapters;
    const session = await LanguageModel.create({ frontdesk: window.desk });
    const call = { frontdesk: { mode: 'only_on_device', max_tokens: 4 } } as const;
    const whole = await thrown(() => session.prompt(text, call));
    const streamed = await thrown(() => count(session.promptStreaming(text, call)));
    const decided = await thrown(() => session.prompt(text, { ...call, responseConstraint: { type: 'boolean' } }));
    return { errors: [whole, streamed, decided], answer: await session.prompt('', call) };
  }, MEGABYTE);
  for (const error of errors) expect(error).toMatchObject({ domName: 'QuotaExceededError', isDomException: true, causeCode: 'context_overflow' });
  expect(typeof answer).toBe('string');
  expect(desk.requests).toEqual([]);
});

test('failures of the backend are NetworkErrors', async ({ desk, upstream }) => {
  upstream.behaviour = 'status_500';
  const error = await inCloud(desk.page, (session, call) => window.adapters.thrown(() => session.prompt('Hello', call)));
  expect(error).toMatchObject({ domName: 'NetworkError', isDomException: true, causeCode: 'upstream_status' });
});

test('wrong arguments are TypeErrors and RangeErrors', async ({ desk }) => {
  const errors = await inSession(desk.page, async (session, ask) => {
    const { LanguageModel, thrown } = window.adapters;
    const frontdesk = window.desk;
    return {
      'a late system prompt': await thrown(() => session.prompt([{ role: 'system', content: 'x' }])),
      'a second system prompt': await thrown(() => LanguageModel.create({ frontdesk, initialPrompts: [{ role: 'user', content: 'x' }, { role: 'system', content: 'x' }] })),
      'an unknown role': await thrown(() => session.append([{ role: 'tool' as 'user', content: 'x' }])),
      'two ways to sample': await thrown(() => LanguageModel.create({ frontdesk, samplingMode: 'creative', topK: 3 })),
      'a threshold out of range': await thrown(() => session.prompt(ask, { frontdesk: { threshold: 2 } })),
      'nothing to answer': await thrown(() => session.prompt([])),
      'an unknown model': await thrown(() => LanguageModel.create({ frontdesk: { model: 'nobody' } })),
      'a temperature out of range': await thrown(() => LanguageModel.create({ frontdesk, temperature: -1 })),
    };
  });
  for (const [what, error] of Object.entries(errors)) {
    expect(error, what).toMatchObject({ name: what === 'a temperature out of range' ? 'RangeError' : 'TypeError' });
  }
  expect(errors['an unknown model'].causeCode).toBe('invalid_input');
});

test('a session that was destroyed says so, what was under way is aborted, and a lent desk stays', async ({ desk }) => {
  const found = await inSession(desk.page, async (session, ask) => {
    const { thrown, count } = window.adapters;
    const call = { frontdesk: { mode: 'only_on_device', max_tokens: 400 } } as const;
    const running = thrown(() => session.prompt(ask, call));
    const waiting = thrown(() => count(session.promptStreaming(ask, call)));
    session.destroy();
    session.destroy();
    const [ran, waited] = [await running, await waiting];
    const later = [await thrown(() => session.prompt(ask)), await thrown(() => count(session.promptStreaming(ask))), await thrown(() => session.append(ask)), await thrown(() => session.clone())];
    const { usage } = await window.desk.chat.completions.create({ messages: [{ role: 'user', content: ask }], max_tokens: 1 }, { mode: 'only_on_device' });
    return { aborted: [ran, waited], later, tokens: usage?.completion_tokens };
  });
  for (const error of found.aborted) expect(error).toMatchObject({ domName: 'AbortError', isDomException: true });
  for (const error of found.later) expect(error).toMatchObject({ domName: 'InvalidStateError', isDomException: true });
  expect(found.tokens).toBe(1);
});

test('availability tells what create would do', async ({ desk }) => {
  const found = await desk.page.evaluate(async () => {
    const { LanguageModel, thrown } = window.adapters;
    return {
      kept: await LanguageModel.availability(),
      lent: await LanguageModel.availability({ frontdesk: window.desk }),
      images: await LanguageModel.availability({ expectedInputs: [{ type: 'text', languages: ['en'] }, { type: 'image' }] }),
      unknown: await thrown(() => LanguageModel.availability({ frontdesk: { model: 'nobody' } })),
    };
  });
  expect(found).toMatchObject({ kept: 'available', lent: 'available', images: 'unavailable', unknown: { name: 'TypeError', causeCode: 'invalid_input' } });
  expect(desk.requests).toEqual([]);
});

test('a session makes its own desk, tells how the download goes, and the last one ends it', async ({ browser, adaptersSite }) => {
  const context = await browser.newContext();
  const page = await openPage(await context.newPage(), adaptersSite);
  await addAdapters(page);
  const found = await page.evaluate(async (ask) => {
    const { LanguageModel, thrown } = window.adapters;
    const frontdesk = { modelBaseUrl: '/models', mode: 'only_on_device' } as const;
    const before = await LanguageModel.availability({ frontdesk });
    const stopped = await thrown(() => LanguageModel.create({ frontdesk, signal: AbortSignal.abort() }));
    const shares: number[] = [];
    let handled = 0;
    const session = await LanguageModel.create({
      frontdesk,
      samplingMode: 'most-predictable',
      monitor: (target) => {
        target.addEventListener('downloadprogress', ({ loaded }) => shares.push(loaded));
        target.ondownloadprogress = () => (handled += 1);
      },
    });
    const copy = await session.clone();
    session.destroy();
    const text = await copy.prompt(ask, { frontdesk: { max_tokens: 8 } });
    Object.assign(window, { copy });
    return { before, stopped, shares, handled, text, after: await LanguageModel.availability({ frontdesk }) };
  }, ASK);
  expect(found).toMatchObject({ before: 'downloadable', stopped: { domName: 'AbortError' }, after: 'available', handled: found.shares.length });
  expect([found.shares[0], found.shares.at(-1)]).toEqual([0, 1]);
  expect(found.shares.some((share) => share > 0 && share < 1)).toBe(true);
  expect(found.shares).toEqual([...found.shares].sort((a, b) => a - b));
  expect(found.text).not.toBe('');
  expect(page.workers()).toHaveLength(1);
  await page.evaluate(() => {
    (window as unknown as { copy: { destroy(): void } }).copy.destroy();
  });
  await expect.poll(() => page.workers()).toHaveLength(0);
  await context.close();
});

/** Runs in the page, with a session on its desk. */
function inSession<Found>(page: Page, work: (session: Session, ask: string) => Promise<Found>): Promise<Found> {
  return page.evaluate(`(async () => (${work.toString()})(await window.adapters.LanguageModel.create({ frontdesk: window.desk }), ${JSON.stringify(ASK)}))()`);
}

/** The same with a system prompt, and options that let the cloud answer. */
function inCloud<Found>(page: Page, work: (session: Session, call: { readonly frontdesk: { readonly mode: 'only_in_cloud' } }) => Promise<Found>): Promise<Found> {
  const session = `await window.adapters.LanguageModel.create({ frontdesk: window.desk, initialPrompts: [{ role: 'system', content: 'Be brief.' }] })`;
  return page.evaluate(`(async () => (${work.toString()})(${session}, { frontdesk: { mode: 'only_in_cloud' } }))()`);
}
