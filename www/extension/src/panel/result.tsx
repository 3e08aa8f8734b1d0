// What came of the newest run.
import type { JSX } from 'preact';
import { ShownAnswer, spokenAnswer } from '../../../ui/answer_card.js';
import { completionSentence } from '../../../ui/provenance.js';
import { ProblemNotice } from '../../../ui/notices.js';
import { JOBS } from '../shared/jobs.js';
import type { EngineState } from '../shared/protocol.js';
import { queueOf, RouteCard, routeSentence } from './route_card.js';
import { SummaryCard } from './summary_card.js';
import type { RunState } from './use_run.js';

interface Props {
  readonly state: RunState;
  /** What is in the box now. */
  readonly text: string;
  /** Where a back office may be asked. */
  readonly officeHost: string | undefined;
  readonly engine: EngineState['phase'];
}

export function Result({ state, text, officeHost, engine }: Props): JSX.Element {
  const { phase, job, answer, problem } = state;
  const name = JOBS.find((known) => known.job === job)?.name ?? job;
  return (
    <section class="pane result" aria-label={phase === 'empty' ? 'Answer' : `Answer: ${name}`} aria-busy={phase === 'running'}>
      <p class="visually-hidden" role="status">
        {spoken(state)}
      </p>
      {phase === 'empty' && <Empty />}
      {phase === 'failed' && problem !== undefined && (engine === 'failed' ? <p class="hint">Not run. Your text is still in the box.</p> : <ProblemNotice problem={problem} />)}
      {phase === 'running' && job !== 'summarise' && <Reading share={state.share} engine={engine} officeHost={officeHost} />}
      {phase === 'stopped' && job !== 'summarise' && <p class="hint">Stopped. Your text is still in the box.</p>}
      {job === 'summarise' && phase !== 'empty' && (phase !== 'failed' || state.summary !== '') && <SummaryCard state={state} text={text} />}
      {job === 'classify' && answer !== undefined && (
        <div class="answer">
          <ShownAnswer answer={answer} text={text} stale={false} upstreamHost={officeHost} />
        </div>
      )}
      {job === 'route' && answer !== undefined && <RouteCard answer={answer} text={text} />}
    </section>
  );
}

function Empty(): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">Nothing read yet</p>
      <p class="hint">Select text on a page, right-click it and choose Frontdesk; or write something above.</p>
    </div>
  );
}

interface ReadingProps extends Pick<Props, 'engine' | 'officeHost'> {
  readonly share: number | undefined;
}

function Reading({ share, engine, officeHost }: ReadingProps): JSX.Element {
  const isReading = engine === 'ready' && share !== undefined && share < 1;
  // The device has read it, or is not asked at all.
  const words = engine !== 'ready' ? 'Waiting for the model to start …' : isReading || officeHost === undefined ? 'Reading …' : 'Reading, or waiting for the back office …';
  return (
    <div class="reading">
      <p id="reading-title">{words}</p>
      <progress {...(isReading && { value: share })} aria-labelledby="reading-title" />
    </div>
  );
}

/** What a screen reader hears, once per run. */
function spoken({ phase, job, answer, summary, provenance, threshold }: RunState): string {
  if (phase === 'stopped') return 'Stopped.';
  if (phase !== 'done') return '';
  if (job === 'summarise') return `${summary} ${provenance === undefined ? '' : completionSentence(provenance, threshold)}`;
  if (answer === undefined) return '';
  return job === 'route' ? `${queueOf(answer) ?? 'A person'}. ${routeSentence(answer)}` : spokenAnswer(answer);
}
