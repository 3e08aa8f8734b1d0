/** Questions about a state: the shapes of answers, who gives them, and what is refused. */
import type { DecideOptions, DecideRequest, DecideResponse } from 'frontdesk';
import { CLOUD_LABEL, createDesk, type DeskPage, expect, openPage, test, TICKET, toUpstream } from './fixtures.ts';

const TEAMS = { shipping: 'parcels and couriers', billing: 'payments and refunds', account: null };
const LEVELS = ['the customer is furious', 'the customer is content', 'the customer is delighted'];
const QUESTIONS = {
  refund: { type: 'noul', instructions: 'Does the customer want money back?', criteria: { true: 'a refund is asked for' } },
  team: { type: 'choice', instructions: 'Which team should answer this?', criteria: TEAMS },
  mood: { type: 'score', instructions: { question: 'How satisfied is the customer?' }, criteria: LEVELS },
} as const;
const REQUEST = { state: TICKET, questions: QUESTIONS };

/** What a task learns from: which team a ticket is for. */
const EXAMPLES = ['lamp', 'chair', 'phone', 'jacket', 'desk', 'knife', 'coffee machine', 'pair of shoes'].flatMap((thing) => [
  { text: `I was charged twice for the ${thing}.`, label: 'billing' },
  { text: `Please refund the second payment for the ${thing}.`, label: 'billing' },
  { text: `Where is the parcel with the ${thing}?`, label: 'shipping' },
  { text: `The courier has not brought the ${thing} yet.`, label: 'shipping' },
]);

type Options = Omit<DecideOptions, 'signal' | 'onProgress' | 'onSend'>;

/** Requests go as JSON text: keys like `__proto__` arrive as they are. */
async function decide(desk: Pick<DeskPage, 'page'>, request: unknown, options: Options = {}): Promise<Settled<DecideResponse>> {
  const settled = await desk.page.evaluate(
    async ([request, options]) =>
      JSON.stringify(await window.settle(window.desk.decide(JSON.parse(request) as DecideRequest, JSON.parse(options) as DecideOptions))),
    [JSON.stringify(request), JSON.stringify(options)] as const,
  );
  return JSON.parse(settled) as Settled<DecideResponse>;
}

/** What a question's probabilities say of how sure the answer is. */
function confidenceOf(probabilities: Readonly<Record<string, number>>): number {
  const all = Object.values(probabilities);
  return (all.length * Math.max(...all) - 1) / (all.length - 1);
}

test('answers have exactly the documented shapes', async ({ desk, site }) => {
  const { value } = await decide(desk, REQUEST, { threshold: 0 });
  expect(Object.keys(value ?? {}).sort()).toEqual(['answers', 'frontdesk', 'model', 'usage']);
  expect(value?.model).toBe('smollm2-135m-instruct');
  expect(value?.usage.input_tokens).toBeGreaterThan(100);
  expect(value?.usage.output_tokens).toBeGreaterThan(6);
  expect(Object.keys(value?.answers ?? {})).toEqual(['refund', 'team', 'mood']);
  const { refund, team, mood } = value?.answers as DecideResponse<typeof QUESTIONS>['answers'];

  expect(Object.keys(refund)).toEqual(['type', 'noul']);
  expect(refund.noul).toBeGreaterThan(0);
  expect(refund.noul).toBeLessThan(1);

  expect(Object.keys(team)).toEqual(['type', 'choice', 'probabilities', 'confidence']);
  expect(Object.keys(team.probabilities)).toEqual(Object.keys(TEAMS));
  expect(team.choice).toBe('billing');
  expect(team.probabilities.billing).toBe(Math.max(...Object.values(team.probabilities)));

  expect(Object.keys(mood)).toEqual(['type', 'score', 'legend', 'probabilities', 'confidence']);
  expect(mood.legend).toEqual({ ...LEVELS });
  expect(Object.keys(mood.probabilities)).toEqual(['0', '1', '2']);
  const expected = Object.values(mood.probabilities).reduce((sum, share, level) => sum + share * level, 0);
  expect(mood.score).toBeCloseTo(expected, 9);
  for (const { probabilities, confidence } of [team, mood]) {
    expect(Object.values(probabilities).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
    expect(confidence).toBeCloseTo(confidenceOf(probabilities), 9);
  }
  for (const provenance of Object.values(value?.frontdesk ?? {})) {
    expect(provenance).toMatchObject({ source: 'device', reason: 'confident', probabilitiesFrom: 'device', cost: null });
  }
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('a state or an instruction that is no text is read as JSON', async ({ desk }) => {
  const state = { ticket: { text: TICKET, tags: ['paid'] } };
  const asObject = await decide(desk, { state, questions: QUESTIONS }, { threshold: 0 });
  const asText = await decide(desk, { state: JSON.stringify(state), questions: QUESTIONS }, { threshold: 0 });
  expect(Object.keys(asObject.value?.answers ?? {})).toHaveLength(3);
  const noul = ({ value }: typeof asText) => (value?.answers.refund as { noul: number } | undefined)?.noul ?? Number.NaN;
  expect(noul(asObject)).toBeCloseTo(noul(asText), 2);
  expect((await decide(desk, { state: [TICKET], questions: QUESTIONS }, { threshold: 0 })).value).toBeDefined();
});

test('many requests at once get their responses in order, and progress counts answers', async ({ desk }) => {
  const states = [TICKET, 'My parcel has not arrived, the courier never came.', 'I forgot the password of my account.'];
  const { responses, progress } = await desk.page.evaluate(
    async ([states, questions]) => {
      const progress: [number, number][] = [];
      const responses = await window.desk.decide(
        states.map((state) => ({ state, questions })),
        { threshold: 0, onProgress: ({ done, total }) => progress.push([done, total]) },
      );
      return { responses, progress };
    },
    [states, { team: QUESTIONS.team, mood: QUESTIONS.mood }] as const,
  );
  expect(responses.map(({ answers }) => answers.team.choice)).toEqual(['billing', 'shipping', 'account']);
  expect(progress.map(([done]) => done)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(progress.every(([, total]) => total === 6)).toBe(true);
  expect(await desk.page.evaluate(() => window.desk.decide([]))).toEqual([]);
});

test('biases are computed once for each of many questions', async ({ desk }) => {
  const questions = Object.fromEntries([1, 2, 3, 4, 5].map((number) => [`q${number}`, { type: 'noul', instructions: `Does it mention the number ${number}?` }]));
  const first = await decide(desk, { state: 'one and two', questions }, { threshold: 0 });
  const second = await decide(desk, { state: 'one and two', questions }, { threshold: 0 });
  expect(first.value?.usage.input_tokens).toBeGreaterThan(2 * (second.value?.usage.input_tokens ?? Infinity));
  expect(first.value?.usage.output_tokens).toBe(3 * (second.value?.usage.output_tokens ?? Number.NaN));
});

test('an unsure question escalates with a receipt, and its answer joins the others', async ({ desk, upstream }) => {
  const questions = { team: QUESTIONS.team, only: { type: 'choice', instructions: 'Which?', criteria: { this: null } } };
  const { value } = await decide(desk, { state: TICKET, questions }, { threshold: 1 });
  expect(value?.answers).toEqual({
    team: { type: 'choice', choice: 'shipping', probabilities: { shipping: 1, billing: 0, account: 0 }, confidence: 1 },
    only: { type: 'choice', choice: 'this', probabilities: { this: 1 }, confidence: 1 },
  });
  expect(value?.usage).toEqual({ input_tokens: 42, output_tokens: 3 });
  const [body = ''] = upstream.bodies;
  expect(value?.frontdesk).toMatchObject({
    team: { source: 'cloud', reason: 'low_confidence', confidence: null, probabilitiesFrom: 'choice', receipt: { body }, local: { value: 'billing' } },
    only: { source: 'device', reason: 'only_choice', probabilitiesFrom: 'choice' },
  });
  expect(toUpstream(desk.requests)).toHaveLength(1);
  const { messages } = JSON.parse(body) as { messages: { content: string }[] };
  expect(messages[0]?.content).toContain('Which team should answer this?');
  expect(messages[0]?.content).toContain('- shipping: parcels and couriers\n- billing: payments and refunds\n- account\n');
  expect(messages[1]?.content).toBe(TICKET);
});

test('the cloud answers a noul and a score too', async ({ desk, upstream }) => {
  upstream.reset('yes');
  const yes = await decide(desk, { state: TICKET, questions: { refund: QUESTIONS.refund } }, { mode: 'prefer_in_cloud' });
  expect(yes.value?.answers).toEqual({ refund: { type: 'noul', noul: 1 } });
  upstream.reset(LEVELS[1] ?? '');
  const mood = await decide(desk, { state: TICKET, questions: { mood: QUESTIONS.mood } }, { mode: 'prefer_in_cloud' });
  expect(mood.value?.answers.mood).toMatchObject({ score: 1, probabilities: { 0: 0, 1: 1, 2: 0 }, confidence: 1 });
});

test('long levels are asked for by their numbers', async ({ desk, upstream }) => {
  const levels = ['low', `high, ${'which means a great deal '.repeat(20)}`];
  upstream.reset('1');
  const { value } = await decide(desk, { state: TICKET, questions: { level: { ...QUESTIONS.mood, criteria: levels } } }, { threshold: 1 });
  expect(value?.answers.level).toMatchObject({ score: 1, legend: { ...levels } });
  expect(upstream.bodies[0]).toContain('- 1: high, which means');
});

test('only_on_device sends nothing, however unsure it is or long the state', async ({ desk, site }) => {
  const { value } = await decide(desk, REQUEST, { mode: 'only_on_device', threshold: 1 });
  for (const { reason } of Object.values(value?.frontdesk ?? {})) expect(reason).toBe('device_only');
  const { error } = await decide(desk, { ...REQUEST, state: 'x '.repeat(512 * 1024) }, { mode: 'only_on_device' });
  expect(error).toMatchObject({ code: 'context_overflow', isFrontdeskError: true });
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('a state that does not fit the device goes to the cloud in cascade', async ({ desk }) => {
  const { value } = await decide(desk, { state: 'x '.repeat(512 * 1024), questions: { team: QUESTIONS.team } });
  expect(value?.frontdesk.team).toMatchObject({ source: 'cloud', reason: 'local_failed' });
});

test('an abort rejects at once with its reason, and the desk stays usable', async ({ desk }) => {
  const messages = await desk.page.evaluate(async (request) => {
    const early = await window.settle(window.desk.decide(request, { signal: AbortSignal.abort(new Error('early')) }));
    const controller = new AbortController();
    const states = Array.from({ length: 20 }, (_, index) => ({ ...request, state: `${request.state} ${index}` }));
    const onProgress = () => {
      controller.abort(new Error('enough'));
    };
    const late = await window.settle(window.desk.decide(states, { threshold: 0, signal: controller.signal, onProgress }));
    return [early.error?.message, late.error?.message];
  }, REQUEST);
  expect(messages).toEqual(['early', 'enough']);
  expect((await decide(desk, REQUEST, { threshold: 0 })).value).toBeDefined();
});

test('keys of prototypes are ids and labels like any other', async ({ desk }) => {
  const text = '{"__proto__":{"type":"choice","instructions":"Which?","criteria":{"__proto__":null,"constructor":"a maker","toString":null}},"constructor":{"type":"noul","instructions":"Is it so?"}}';
  const { answers, provenance, clean } = await desk.page.evaluate(async (text) => {
    const questions = JSON.parse(text) as DecideRequest['questions'];
    const { answers, frontdesk } = await window.desk.decide({ state: 'a text', questions }, { threshold: 0 });
    return { answers: JSON.stringify(answers), provenance: Object.keys(frontdesk), clean: !('type' in {}) && Object.getPrototypeOf(answers) === Object.prototype };
  }, text);
  expect(answers).toMatch(/^\{"__proto__":\{"type":"choice","choice":"\w+","probabilities":\{"__proto__":[\d.e-]+,"constructor":[\d.e-]+,"toString":[\d.e-]+\}/);
  expect(answers).toContain('"constructor":{"type":"noul","noul":');
  expect(provenance).toEqual(['__proto__', 'constructor']);
  expect(clean).toBe(true);
});

test('senseless input is refused before anything runs', async ({ desk, site }) => {
  const asking = (question: unknown) => ({ state: TICKET, questions: { question } });
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`label ${index}`, null]));
  const noul = { type: 'noul', instructions: 'Is it so?' };
  for (const [request, message] of [
    [null, 'must be an object'],
    [{}, 'questions must be an object'],
    [{ state: TICKET, questions: {} }, '0 questions'],
    [{ state: TICKET, questions: [noul] }, 'must be an object'],
    [{ state: TICKET, questions: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`q${index}`, noul])) }, '65 questions'],
    [{ state: 5, questions: { noul } }, 'state must be'],
    [{ questions: { noul } }, 'state must be'],
    [{ state: TICKET, questions: { noul }, temperature: 1 }, "field 'temperature'"],
    [asking(null), 'must be an object'],
    [asking({ ...noul, type: 'essay' }), 'noul, choice or score'],
    [asking({ ...noul, weight: 1 }), "field 'weight'"],
    [asking({ type: 'noul' }), 'the instructions'],
    [asking({ ...noul, instructions: ' ' }), 'are empty'],
    [asking({ ...noul, criteria: { maybe: 'perhaps' } }), "field 'maybe'"],
    [asking({ ...noul, criteria: { true: 'x'.repeat(1001) } }), 'description'],
    [asking({ ...QUESTIONS.mood, criteria: ['one'] }), '1 criteria'],
    [asking({ ...QUESTIONS.mood, criteria: ['one', 'one '] }), 'must differ'],
    [asking({ ...QUESTIONS.mood, criteria: ['one', ''] }), 'is empty'],
    [asking({ ...QUESTIONS.mood, criteria: ['one', 2] }), 'a level of'],
    [asking({ ...QUESTIONS.mood, criteria: { one: null } }), 'array of levels'],
    [asking({ ...QUESTIONS.team, criteria: labels(256) }), '256 criteria'],
    [asking({ ...QUESTIONS.team, criteria: {} }), '0 criteria'],
    [asking({ ...QUESTIONS.team, criteria: { '': null, b: null } }), 'a label'],
    [asking({ ...QUESTIONS.team, criteria: ['a', 'b'] }), 'must be an object'],
  ] as const) {
    const { error } = await decide(desk, request, { threshold: 1 });
    expect(error, message).toMatchObject({ code: 'invalid_input', isFrontdeskError: true });
    expect(error?.message).toContain(message);
  }
  for (const tasks of [{ other: 'tickets' }, { refund: 'tickets' }, { team: '' }]) {
    expect((await decide(desk, REQUEST, { tasks, threshold: 1 })).error).toMatchObject({ code: 'invalid_input' });
  }
  expect((await decide(desk, { ...REQUEST, model: 'any' }, { threshold: 0 })).value).toBeDefined();
  expect(desk.requests).toEqual([]);
  expect(site.log).toEqual([]);
});

test('a trained task answers a choice whose labels are its own', async ({ browser, site }) => {
  const page = await openPage(await (await browser.newContext()).newPage(), site);
  await createDesk(page, { modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'only_on_device' });
  await page.evaluate((examples) => window.desk.task('tickets').learn(examples), EXAMPLES);
  const team = { type: 'choice', instructions: 'Which team?', criteria: { shipping: null, billing: null } };
  const { value } = await decide({ page }, [{ state: TICKET, questions: { team } }, { state: 'Where is my parcel?', questions: { team } }], { tasks: { team: 'tickets' } });
  const responses = value as unknown as DecideResponse[];
  expect(responses.map(({ answers }) => (answers.team as { choice: string } | undefined)?.choice)).toEqual(['billing', 'shipping']);
  for (const { answers, frontdesk } of responses) {
    expect(Object.keys((answers.team as { probabilities: object } | undefined)?.probabilities ?? {})).toEqual(['shipping', 'billing']);
    expect(frontdesk.team?.local?.trained).toBeDefined();
  }
  const other = { ...team, criteria: { shipping: null, praise: null } };
  const { error } = await decide({ page }, { state: TICKET, questions: { team: other } }, { tasks: { team: 'tickets' } });
  expect(error).toMatchObject({ code: 'invalid_input' });
  expect(error?.message).toContain('not the labels of task');
  await page.context().close();
});

test('a task learns from corrections of answers and receipts, and from the cloud', async ({ browser, site }) => {
  const page = await openPage(await (await browser.newContext()).newPage(), site);
  site.upstream.reset(CLOUD_LABEL);
  const { corrected, lesson, known } = await page.evaluate(
    async ([examples, state]) => {
      const { Frontdesk, openaiCompatible } = window.frontdesk;
      const cloud = openaiCompatible({ url: '/v1/chat/completions', model: 'big-model' });
      const desk = await Frontdesk.create({ modelBaseUrl: '/models', reflex: 'minilm-l6', cloud });
      const task = desk.task('tickets');
      await task.learn(examples);
      const team = { type: 'choice', instructions: 'Which team?', criteria: { shipping: null, billing: null } } as const;
      const decide = (state: string, options: object) => desk.decide({ state, questions: { team } }, { tasks: { team: 'tickets' }, ...options });
      const known = async () => Object.values((await task.info())?.memory ?? {}).reduce((sum, rows) => sum + rows, 0);

      const here = await decide(state, { mode: 'only_on_device' });
      await task.correct(here.frontdesk.team, 'billing');
      const there = await decide('Is it on its way?', { mode: 'prefer_in_cloud' });
      const { receipt, lesson: unasked } = there.frontdesk.team;
      if (receipt) await task.correct(receipt, 'shipping');
      const corrected = await known();
      const taught = await decide('The tracking number does not work.', { mode: 'prefer_in_cloud', learnFromCloud: true });
      const result = { corrected, lesson: [unasked, taught.frontdesk.team.lesson], known: await known() };
      await desk.destroy();
      return result;
    },
    [EXAMPLES, TICKET] as const,
  );
  expect(corrected).toBe(2);
  expect(lesson).toEqual([undefined, 'kept']);
  expect(known).toBe(3);
  await page.context().close();
});
