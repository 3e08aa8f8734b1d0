/** Answers questions about a state: each becomes a classification, whose probabilities become the answer. */
import { classifyTexts, type Desk } from './classifying.js';
import { checkObject } from './checks.js';
import type { CheckedQuestion, CheckedRequest } from './decide_checks.js';
import type { DecideAnswer, DecideProvenance, DecideResponse } from './decide_shapes.js';
import { InvalidInputError } from './errors.js';
import { missing } from './missing.js';
import type { ModelInfo, PrefillProgress } from './protocol.js';
import type { Classification } from './results.js';
import { checkTaskName } from './task.js';
import { inTurns } from './turns.js';

/** What the states are called in prompts. */
const SUBJECT = 'text';
/** Questions of one request that wait for the cloud at a time. */
const MOST_AT_ONCE = 4;

export interface Deciding {
  /** The task that answers, by the question's id. */
  readonly tasks?: Readonly<Record<string, string>> | undefined;
  readonly ownThreshold: boolean;
  readonly learnFromCloud: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PrefillProgress) => void) | undefined;
  /** Is told of each answer and the state that it is about. */
  readonly onAnswer: (answer: Classification, state: string) => void;
}

/** One question and the requests that ask it, which a task answers in shared passes. */
interface Group {
  readonly question: CheckedQuestion;
  readonly task: string | undefined;
  readonly requests: number[];
}

/** The responses in the order of the requests; where one question fails, all others are given up. */
export async function decideAll(requests: readonly CheckedRequest[], deciding: Deciding, desk: Desk): Promise<DecideResponse[]> {
  const { ownThreshold, learnFromCloud, signal, onProgress, onAnswer } = deciding;
  signal?.throwIfAborted();
  const groups = groupsOf(requests, await checkTasks(requests, deciding, desk));
  const total = groups.reduce((sum, group) => sum + group.requests.length, 0);
  const found = requests.map(() => new Map<string, DecideProvenance>());
  let done = 0;
  // Many requests wait for the cloud within their group already.
  const atOnce = requests.length === 1 ? MOST_AT_ONCE : 1;
  await inTurns(groups, { atOnce, signal }, async ({ question, task, requests: indices }, _, signal) => {
    const { labels } = question;
    const texts = indices.map((index) => requests[index]?.state ?? missing());
    const asked = { texts, labels, task, subject: SUBJECT, question: question.question, examples: question.type === 'choice' };
    let told = 0;
    const tell = (count: number) => {
      done += count - told;
      told = count;
      onProgress?.({ type: 'prefill', done, total });
    };
    const onEvent = (event: PrefillProgress) => {
      if (total === 1) onProgress?.(event);
      else if (texts.length > 1) tell(event.done);
    };
    const answers =
      labels.length === 1
        ? texts.map(() => onlyChoice(labels[0]?.name ?? missing(), desk.info))
        : await classifyTexts({ ...asked, ownThreshold, learnFromCloud, signal, onProgress: onEvent }, desk);
    if (total > 1 && told < texts.length) tell(texts.length);
    for (const [at, index] of indices.entries()) {
      const answer = answers[at] ?? missing();
      const wasComputed = answer.source === 'device' && answer.reason !== 'only_choice';
      const provenance = { ...answer, probabilitiesFrom: wasComputed ? 'device' : 'choice' } as const;
      onAnswer(provenance, texts[at] ?? '');
      found[index]?.set(question.id, provenance);
    }
  });
  return requests.map((request, index) => responseOf(request, found[index] ?? missing(), desk.info));
}

/** Makes sure, before anything runs, that each named task can answer its question; gives their names. */
async function checkTasks(requests: readonly CheckedRequest[], { tasks = {}, signal }: Deciding, { client, info }: Desk): Promise<Map<string, string>> {
  checkObject(tasks, 'tasks');
  const names = new Map(Object.entries(tasks).map(([id, name]) => [id, checkTaskName(name)]));
  for (const [id, task] of names) {
    const questions = requests.flatMap((request) => request.questions.filter((question) => question.id === id));
    if (questions.length === 0 && requests.length > 0) throw new InvalidInputError(`tasks names '${id}', which is not one of the questions`);
    if (questions.some(({ type }) => type !== 'choice')) throw new InvalidInputError(`question '${id}' is not a choice; a task cannot answer it`);
    const learnt = info?.reflex ? await client?.call('describeTask', { task }, { signal }) : undefined;
    if (!learnt) continue;
    const known = new Set(learnt.labels);
    if (questions.some(({ labels }) => labels.length !== known.size || labels.some(({ name }) => !known.has(name)))) {
      throw new InvalidInputError(`the criteria of question '${id}' are not the labels of task '${task}'`);
    }
  }
  return names;
}

function groupsOf(requests: readonly CheckedRequest[], tasks: ReadonlyMap<string, string>): Group[] {
  const groups = new Map<string, Group>();
  for (const [index, { questions }] of requests.entries()) {
    for (const question of questions) {
      const { id, type, labels } = question;
      const key = JSON.stringify([id, type, question.question, labels]);
      const group = groups.get(key);
      if (group) group.requests.push(index);
      else groups.set(key, { question, task: tasks.get(id), requests: [index] });
    }
  }
  return [...groups.values()];
}

/** Built from entries: an id like `__proto__` is a key like any other. */
function responseOf({ questions }: CheckedRequest, found: ReadonlyMap<string, DecideProvenance>, info: ModelInfo | undefined): DecideResponse {
  const pairs = questions.map((question) => [question, found.get(question.id) ?? missing()] as const);
  const tokens = pairs.map(([, answer]) => tokensOf(answer));
  return {
    model: info?.id ?? '',
    answers: Object.fromEntries(pairs.map(([question, answer]) => [question.id, answerOf(question, answer)])),
    usage: {
      input_tokens: tokens.reduce((sum, { input }) => sum + input, 0),
      output_tokens: tokens.reduce((sum, { output }) => sum + output, 0),
    },
    frontdesk: Object.fromEntries(pairs.map(([{ id }, answer]) => [id, answer])),
  };
}

function answerOf({ type, labels, levels }: CheckedQuestion, answer: Classification): DecideAnswer {
  const shares = sharesOf(labels.map(({ name }) => name), answer);
  const largest = Math.max(...shares);
  const count = shares.length;
  const confidence = count === 1 ? 1 : (count * largest - 1) / (count - 1);
  switch (type) {
    case 'noul':
      return { type, noul: shares[0] ?? missing() };
    case 'choice': {
      const choice = labels[shares.indexOf(largest)]?.name ?? missing();
      return { type, choice, probabilities: Object.fromEntries(labels.map(({ name }, index) => [name, shares[index] ?? 0])), confidence };
    }
    case 'score': {
      const score = shares.reduce((sum, share, level) => sum + level * share, 0);
      return { type, score, legend: Object.fromEntries(levels.entries()), probabilities: Object.fromEntries(shares.entries()), confidence };
    }
  }
}

/** Each option's probability. The model keeps the order of the options, a task has its own. */
function sharesOf(names: readonly string[], { source, value, probabilities, local }: Classification): number[] {
  if (source === 'cloud') return names.map((name) => (name === value ? 1 : 0));
  if (!local?.trained) return probabilities.map(({ probability }) => probability);
  const shares = new Map(probabilities.map(({ label, probability }) => [label, probability]));
  return names.map((name) => shares.get(name) ?? 0);
}

function tokensOf({ source, cost, local }: Classification): { readonly input: number; readonly output: number } {
  if (source === 'cloud') return { input: cost?.inputTokens ?? 0, output: cost?.outputTokens ?? 0 };
  return { input: local?.usage.promptTokens ?? 0, output: local?.usage.completionTokens ?? 0 };
}

function onlyChoice(label: string, info: ModelInfo | undefined): Classification {
  return {
    value: label,
    probabilities: [{ label, probability: 1 }],
    source: 'device',
    reason: 'only_choice',
    confidence: 1,
    guarantee: { kind: 'none', why: 'there was only one label, and nobody was asked' },
    ...(info && { model: { id: info.id, sha256: info.sha256, backend: info.backend, variant: info.variant } }),
    timing: { totalMs: 0 },
    cost: null,
  };
}
