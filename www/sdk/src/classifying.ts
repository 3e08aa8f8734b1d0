/** Classification of one text or many, by a task or by the model, by the mode's rules. */
import { toClassification } from './answers.js';
import { askWhole, type Outcome } from './cascade.js';
import { checkLabels, checkSubject, checkText } from './checks.js';
import type { EngineClient } from './client.js';
import type { Receipt } from './errors.js';
import type { Ledger } from './ledger.js';
import { missing } from './missing.js';
import type { ClassifyRequest, Label, LocalClassification, ModelInfo, Policy, PrefillProgress, TaskInfo } from './protocol.js';
import type { CloudClassification, CloudProvider } from './providers/provider.js';
import type { Classification } from './results.js';
import { Run } from './run.js';
import { checkTaskName } from './task.js';
import { inTurns } from './turns.js';

/** Texts that wait for the cloud at a time. */
const MOST_AT_ONCE = 4;

export interface Question {
  readonly texts: readonly string[];
  readonly labels?: readonly (string | Label)[] | undefined;
  readonly task?: string | undefined;
  readonly subject?: string | undefined;
  /** What is asked of the texts; by default what they are about. */
  readonly question?: string | undefined;
  /** Whether the model is shown a made-up text for each label; default true. */
  readonly examples?: boolean | undefined;
  /** Whether the policy's threshold is the caller's own, which goes before the task's. */
  readonly ownThreshold: boolean;
  /** Whether the cloud's answers are kept as lessons of the task. */
  readonly learnFromCloud: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PrefillProgress) => void) | undefined;
}

/** Who may be asked, and who keeps the books. */
export interface Desk {
  readonly policy: Policy;
  readonly client: EngineClient | undefined;
  readonly cloud: CloudProvider | undefined;
  readonly info: ModelInfo | undefined;
  readonly ledger: Ledger;
  readonly onSend: ((receipt: Receipt) => void) | undefined;
  readonly onTaught: (task: string, info: TaskInfo) => void;
}

type DeviceLeg = (index: number, signal: AbortSignal | undefined) => Promise<LocalClassification>;

/** The answers in the order of the texts; where one fails, the others are given up. */
export async function classifyTexts(question: Question, desk: Desk): Promise<Classification[]> {
  const texts = question.texts.map(checkText);
  const task = question.task === undefined ? undefined : checkTaskName(question.task);
  const wording = {
    ...(question.subject !== undefined && { subject: checkSubject(question.subject) }),
    ...(question.question !== undefined && { question: question.question }),
  };
  const { client } = desk;
  const learnt = task !== undefined && desk.info?.reflex ? await client?.call('describeTask', { task }, { signal: question.signal }) : undefined;
  const labels = checkLabels(question.labels ?? learnt?.labels ?? []);
  const requests = texts.map((text) => ({ text, labels, ...wording }));
  const device = learnt && task !== undefined ? byTask(task, texts, question, desk) : byModel(requests, question, desk);

  const answers: Classification[] = [];
  const lessons: { readonly index: number; readonly value: string }[] = [];
  let done = 0;
  await inTurns(requests, { atOnce: MOST_AT_ONCE, signal: question.signal }, async (request, index, signal) => {
    const run = new Run(signal, desk.onSend);
    let outcome: Outcome<LocalClassification, CloudClassification> | undefined;
    try {
      outcome = await askWhole(desk.policy.mode, run, {
        device: device && (() => device(index, signal)),
        cloud: desk.cloud && (() => desk.cloud?.classify(request, { ...(signal && { signal }), onSend: run.onSend }) ?? missing()),
      });
    } finally {
      desk.ledger.note(run, { size: sizeOf(request, desk.cloud), ...(outcome && { outcome }) });
    }
    answers[index] = toClassification(outcome, run, desk.info);
    if (outcome.source === 'cloud' && learnt) lessons.push({ index, value: outcome.cloud.value });
    done += 1;
    if (texts.length > 1) question.onProgress?.({ type: 'prefill', done, total: texts.length });
  });
  if (!question.learnFromCloud || !client || task === undefined || lessons.length === 0) return answers;
  const taught = { task, texts: lessons.map(({ index }) => texts[index] ?? ''), labels: lessons.map(({ value }) => value) };
  const lesson = await client.call('teachTask', { ...taught, teacher: 'cloud' }, { signal: question.signal }).then(
    (info) => {
      desk.onTaught(task, info);
      return 'kept' as const;
    },
    // The answer is there; that it taught nothing is no reason to withhold it.
    () => 'not_kept' as const,
  );
  for (const { index } of lessons) answers[index] = { ...(answers[index] ?? missing()), lesson };
  return answers;
}

/** All texts in one request, once the first answer is wanted. */
function byTask(task: string, texts: readonly string[], { ownThreshold, signal, onProgress }: Question, { client, policy }: Desk): DeviceLeg | undefined {
  if (!client) return undefined;
  let all: Promise<readonly LocalClassification[]> | undefined;
  const onEvent = texts.length === 1 ? onProgress : undefined;
  return async (index) => {
    all ??= client.call('applyTask', { task, texts, policy, useCertified: !ownThreshold }, { signal, onEvent });
    return (await all)[index] ?? missing();
  };
}

function byModel(
  requests: readonly Omit<ClassifyRequest, 'policy'>[],
  { onProgress, examples }: Question,
  { client, policy }: Desk,
): DeviceLeg | undefined {
  const onEvent = requests.length === 1 ? onProgress : undefined;
  const shown = examples === undefined ? {} : { examples };
  return client && ((index, signal) => client.call('classify', { ...(requests[index] ?? missing()), ...shown, policy }, { signal, onEvent }));
}

/** Bytes of the request that the cloud would get. */
function sizeOf(request: { readonly text: string; readonly labels: readonly Label[] }, cloud: CloudProvider | undefined): number {
  return cloud?.sizeOf?.(request) ?? new TextEncoder().encode(request.text).byteLength;
}
