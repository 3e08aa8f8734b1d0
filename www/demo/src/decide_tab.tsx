// The tab “Decide”: a message, labels, and who answers for them: the small model where it has learnt them, else the language model.
import type { JSX } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { AnswerCard } from '../../ui/answer_card.js';
import { placeOf } from '../../ui/backends.js';
import type { Ledger } from '../../ui/ledger.js';
import { modePromise, type Mode } from '../../ui/modes.js';
import type { DemoConfig } from './config.js';
import { DeskPane } from './desk_pane.js';
import { SAMPLE_TASK, sameLabels, taskFor, useLearnt, type LearntTask } from './learnt.js';
import { ReflexPanel } from './reflex_panel.js';
import { DEFAULT_LABELS, SAMPLES } from './samples.js';
import { useAnswer, type Answerer } from './use_answer.js';
import type { Model } from './use_model.js';
import type { Reflex } from './use_reflex.js';
import { WhoAnswers } from './who_answers.js';

interface Props {
  readonly config: DemoConfig;
  readonly ledger: Ledger;
  readonly model: Model;
  readonly reflex: Reflex;
  readonly online: boolean;
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly labels: readonly string[];
  readonly onLabels: (labels: readonly string[]) => void;
  readonly threshold: number;
  readonly onThreshold: (threshold: number) => void;
  readonly mode: Mode;
  /** Changes when something was learnt. */
  readonly lessons: number;
  /** False while another tab's answer is made. */
  readonly isFree: boolean;
  readonly onBusy: (isBusy: boolean) => void;
  readonly onStart: () => void;
}

export function DecideTab(props: Props): JSX.Element {
  const { config, model, reflex, text, threshold, mode, onBusy } = props;
  const answering = useAnswer(props.ledger);
  const learnt = useLearnt(reflex.desk, props.lessons);
  const labels = useMemo(() => usableLabels(props.labels), [props.labels]);
  const task = taskFor(labels, learnt);
  const isComing = task === undefined && isOnItsWay(reflex, learnt) && sameLabels(labels, DEFAULT_LABELS);
  const answerer = answererOf({ model, reflex, mode, task });
  const thinking = answering.state.phase === 'thinking';
  const idle = !thinking && props.isFree;
  const answerRef = useRef<HTMLElement>(null);
  useEffect(() => onBusy(thinking), [thinking, onBusy]);
  // Before the new promise is painted. Without a back office nothing can leave in any mode.
  useLayoutEffect(() => {
    if (config.upstream) answering.heed({ mode, threshold });
  }, [config.upstream, mode, threshold]);

  const run = (): void => {
    if (answerer === undefined || !idle || text.trim() === '' || labels.length < 2) return;
    answering.run(answerer, { text, labels, mode, threshold });
    // On a phone the answer lies below the desk: bring it into view. Beside the desk this does nothing.
    if (matchMedia('(max-width: 959px)').matches) answerRef.current?.scrollIntoView({ block: 'start' });
  };
  // The first sample answers itself, where the visitor has not begun; nobody asked for it, so it may not leave.
  const isUntouched = answering.state.phase === 'empty' && text === SAMPLES[0]?.text && answerer?.task !== undefined;
  useEffect(() => {
    if (isUntouched && answerer !== undefined) answering.run(answerer, { text, labels, mode: 'only_on_device', threshold });
  }, [isUntouched]);
  const use = useCallback(
    ({ name, info }: LearntTask) => {
      // In the order in which they stood at first.
      props.onLabels(name === SAMPLE_TASK ? DEFAULT_LABELS : info.labels);
      // What is promised holds at this threshold and above.
      if (info.guarantee?.certified) props.onThreshold(Math.ceil(info.guarantee.certified.threshold * 100) / 100);
    },
    [props.onLabels, props.onThreshold],
  );
  return (
    <>
      <DeskPane
        text={text}
        onText={props.onText}
        labels={props.labels}
        onLabels={props.onLabels}
        usableLabels={labels.length}
        threshold={threshold}
        onThreshold={props.onThreshold}
        thresholdMatters={mode === 'cascade'}
        promise={modePromise(mode, { threshold, upstream: config.upstream })}
        who={<WhoAnswers task={task} isComing={isComing} learnt={learnt} model={model} bytes={config.model.bytes} online={props.online} onStart={props.onStart} onUse={use} />}
        obstacle={answerer === undefined ? obstacleWords(model, reflex) : undefined}
        idle={idle}
        thinking={thinking}
        onRun={run}
        onStop={answering.stop}
      />
      <section class="pane" aria-labelledby="answer-title" ref={answerRef}>
        <h2 id="answer-title">The answer</h2>
        <ReflexPanel reflex={reflex} bytes={config.reflex.bytes} />
        <AnswerCard state={answering.state} text={text} upstreamHost={config.upstreamHost} />
      </section>
    </>
  );
}

function answererOf({ model, reflex, mode, task }: Pick<Props, 'model' | 'reflex' | 'mode'> & { readonly task: LearntTask | undefined }): Answerer | undefined {
  const { desk } = reflex;
  const small = desk && { desk, ranOn: placeOf({ info: desk.info, choice: 'wasm' }).long };
  if (small && task) return { ...small, task };
  if (model.state.phase === 'ready') return { desk: model.state.desk, ranOn: placeOf(model.state).long };
  // Any desk passes a question on.
  return mode === 'only_in_cloud' ? small : undefined;
}

/** Until it is known what it has learnt. */
function isOnItsWay({ state }: Reflex, learnt: readonly LearntTask[]): boolean {
  if (state.phase === 'ready') return state.sample !== undefined && learnt.length === 0;
  return state.phase === 'checking' || state.phase === 'downloading' || state.phase === 'loading' || state.phase === 'learning';
}

function obstacleWords(model: Model, reflex: Reflex): string {
  if (reflex.state.phase !== 'ready' && isOnItsWay(reflex, [])) return 'The small model is on its way.';
  if (model.state.phase === 'downloading' || model.state.phase === 'loading') return 'The language model is on its way.';
  return reflex.desk === undefined ? 'Load a model first.' : 'These labels take the language model.';
}

/** Without blanks and repeats, in the visitor's order. */
function usableLabels(labels: readonly string[]): readonly string[] {
  return [...new Set(labels.map((label) => label.trim()).filter((label) => label !== ''))];
}
