// What came of the newest run.
import type { JSX } from 'preact';
import { AnswerCard } from '../../../ui/answer_card.js';
import { completionSentence } from '../../../ui/provenance.js';
import { ProblemNotice } from '../../../ui/notices.js';
import { JOBS } from '../shared/jobs.js';
import { queueOf, RouteCard, routeSentence } from './route_card.js';
import { SummaryCard } from './summary_card.js';
import type { RunState } from './use_run.js';

interface Props {
  readonly state: RunState;
  /** What is in the box now. */
  readonly text: string;
  readonly officeHost: string | undefined;
  readonly isEngineReady: boolean;
}

export function Result({ state, text, officeHost, isEngineReady }: Props): JSX.Element {
  const { phase, job, answer, problem } = state;
  const name = JOBS.find((known) => known.job === job)?.name ?? job;
  return (
    <section class="pane result" aria-label={phase === 'empty' ? 'Answer' : `Answer: ${name}`} aria-busy={phase === 'running'}>
      <p class="visually-hidden" role="status">
        {spoken(state)}
      </p>
      {phase === 'empty' && <Empty />}
      {phase === 'failed' && problem !== undefined && <ProblemNotice problem={problem} />}
      {phase === 'running' && job !== 'summarise' && <Reading share={state.share} isEngineReady={isEngineReady} />}
      {phase === 'stopped' && job !== 'summarise' && <p class="hint">Stopped. Your text is still in the box.</p>}
      {job === 'summarise' && phase !== 'empty' && (phase !== 'failed' || state.summary !== '') && <SummaryCard state={state} />}
      {job === 'classify' && answer !== undefined && <AnswerCard state={{ phase: 'answered', answer }} text={text} upstreamHost={officeHost} />}
      {job === 'route' && answer !== undefined && <RouteCard answer={answer} stale={false} />}
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

function Reading({ share, isEngineReady }: { readonly share: number | undefined; readonly isEngineReady: boolean }): JSX.Element {
  return (
    <div class="reading">
      <p id="reading-title">{isEngineReady ? 'Reading …' : 'Waiting for the model to start …'}</p>
      <progress {...(isEngineReady && share !== undefined && { value: share })} aria-labelledby="reading-title" />
    </div>
  );
}

/** What a screen reader hears, once per run. */
function spoken({ phase, job, answer, summary, provenance, threshold }: RunState): string {
  if (phase === 'stopped') return 'Stopped.';
  if (phase !== 'done') return '';
  if (job === 'summarise') return `${summary} ${provenance === undefined ? '' : completionSentence(provenance, threshold)}`;
  if (answer === undefined) return '';
  if (job === 'route') return `${queueOf(answer) ?? 'A person'}. ${routeSentence(answer)}`;
  // The answer card says its own.
  return '';
}
