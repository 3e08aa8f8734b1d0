// The answer: the label in large type, a sentence on where it came from, the bars, and the details.
import type { LocalClassification } from 'frontdesk';
import type { JSX } from 'preact';
import type { Answer, AnswerState } from './answer_state.js';
import { Fact } from './fact.js';
import { count, duration, percent, perSecond } from './format.js';
import { Icon, type IconName } from './icons.js';
import { stoppedWords } from './modes.js';
import { ProblemNotice, StoppedNotice } from './notices.js';
import { ProbabilityBars } from './probability_bars.js';
import { classificationSentence, guaranteeSentence, originOf, type Origin } from './provenance.js';

interface Props {
  readonly state: AnswerState;
  readonly text: string;
  readonly upstreamHost: string | undefined;
}

export function AnswerCard({ state, text, upstreamHost }: Props): JSX.Element {
  const { phase, answer, problem, stoppedFor } = state;
  return (
    <div class="answer" aria-busy={phase === 'thinking'}>
      <p class="visually-hidden" role="status">
        {phase === 'answered' && answer !== undefined && spokenAnswer(answer)}
        {phase === 'stopped' && (stoppedFor === undefined ? 'Stopped.' : stoppedWords(stoppedFor))}
      </p>
      {phase === 'stopped' && stoppedFor !== undefined && <StoppedNotice mode={stoppedFor} />}
      {phase === 'failed' && problem !== undefined && <ProblemNotice problem={problem} />}
      {answer !== undefined ? (
        <ShownAnswer answer={answer} text={text} stale={phase !== 'answered'} stays={phase === 'stopped' || phase === 'failed'} upstreamHost={upstreamHost} />
      ) : (
        phase !== 'failed' && <Empty phase={phase} upstream={upstreamHost !== undefined} />
      )}
    </div>
  );
}

function Empty({ phase, upstream }: { readonly phase: AnswerState['phase']; readonly upstream: boolean }): JSX.Element {
  return (
    <div class="answer-empty">
      <p class="answer-value">{phase === 'thinking' ? 'Reading …' : phase === 'stopped' ? 'Stopped' : 'No answer yet'}</p>
      {phase === 'stopped' && <p>Nothing was kept. Run again whenever you like.</p>}
      <ol class="answer-steps">
        <li>
          <Icon name="reading" />
          <span>
            <strong>The model reads the message in this tab.</strong>
            It weighs every label and says how sure it is.
          </span>
        </li>
        <li class="step-here">
          <Icon name="here" />
          <span>
            <strong>Sure enough? It answers here.</strong>
            Nothing leaves this device, and the counter above stays as it is.
          </span>
        </li>
        <li class="step-office">
          <Icon name="office" />
          <span>
            <strong>Unsure? Only then may the back office be asked.</strong>
            {upstream ? 'Every byte that leaves is listed below.' : 'None is set up here, so the page only says that it would.'}
          </span>
        </li>
      </ol>
    </div>
  );
}

const ORIGIN_ICONS: Readonly<Record<Origin, IconName>> = { here: 'here', office: 'office', unsure: 'question' };
const ORIGIN_WORDS: Readonly<Record<Origin, string>> = { here: 'Here', office: 'Back office', unsure: 'Unsure, here' };

interface ShownAnswerProps {
  readonly answer: Answer;
  /** What is in the box now. */
  readonly text: string;
  readonly stale: boolean;
  /** A newer question got no answer. */
  readonly stays?: boolean;
  readonly upstreamHost: string | undefined;
}

/** Without a voice of its own: for a page that speaks in one place. */
export function ShownAnswer({ answer, text, stale, stays = false, upstreamHost }: ShownAnswerProps): JSX.Element {
  const { question, result } = answer;
  const earlier = question.text !== text;
  const origin = originOf(result);
  const probabilities = result.local?.probabilities ?? result.probabilities;
  const office = result.source === 'cloud';
  return (
    <div class="answer-body" data-origin={origin} data-stale={stale}>
      <p>
        <span class="answer-origin">
          <Icon name={ORIGIN_ICONS[origin]} /> {ORIGIN_WORDS[origin]}
          {office && upstreamHost !== undefined && ` (${upstreamHost})`}
        </span>
        {(stays || earlier) && <span class="answer-earlier">{earlier ? 'to the text before' : 'from before'}</span>}
      </p>
      <p class="answer-value" data-testid="answer-value">
        {result.value}
      </p>
      <p class="answer-sentence" data-testid="answer-sentence">
        {classificationSentence(result, question.threshold)}
      </p>
      {answer.by !== undefined && !office && (
        <p class="answer-by" data-testid="answer-by">
          {answer.by}
        </p>
      )}
      {result.local !== undefined && <ReadingSpeed local={result.local} />}
      {result.cloudError !== undefined && (
        <p class="answer-failure">
          <Icon name="alert" /> Your text and this answer are kept. Run again to ask once more, or choose “Only here”.
        </p>
      )}
      {office && result.local !== undefined && (
        <p class="answer-local">
          The model here would have said <strong>{result.local.value}</strong>, {percent(result.local.confidence)} sure.
        </p>
      )}
      {probabilities.length > 0 && (
        <ProbabilityBars
          probabilities={probabilities}
          chosen={result.value}
          threshold={question.mode === 'cascade' ? question.threshold : undefined}
          title={office ? 'What the model here thought' : 'How sure the model is'}
        />
      )}
      <Details answer={answer} />
    </div>
  );
}

function ReadingSpeed({ local }: { readonly local: LocalClassification }): JSX.Element | null {
  const tokens = local.usage.promptTokens - local.usage.cachedTokens;
  const speed = perSecond(tokens, local.timing.prefillMs);
  if (speed === undefined) return null;
  return (
    <p class="answer-speed">
      Read here: {count(tokens)} tokens, {speed}
    </p>
  );
}

function Details({ answer }: { readonly answer: Answer }): JSX.Element {
  const { result, ranOn } = answer;
  const { model, timing, local, cost, receipt } = result;
  return (
    <details class="details">
      <summary>
        <Icon name="chevron" />
        Details
      </summary>
      <dl class="facts">
        {model && <Fact name="Model">{model.id}</Fact>}
        {model && (
          <Fact name="SHA-256">
            <code>{model.sha256}</code>, checked when the file was fetched
          </Fact>
        )}
        {model && <Fact name="Ran on">{ranOn}</Fact>}
        {local && <Fact name="Reading the prompt">{duration(local.timing.prefillMs)}</Fact>}
        {local && <Fact name="Weighing the labels">{duration(local.timing.decodeMs)}</Fact>}
        {local && (
          <Fact name="Tokens">
            {count(local.usage.promptTokens)} in the prompt, {count(local.usage.cachedTokens)} of them reused
          </Fact>
        )}
        {timing.localMs !== undefined && <Fact name="Time here">{duration(timing.localMs)}</Fact>}
        <Fact name="Time at the back office">{timing.cloudMs === undefined ? 'not asked' : duration(timing.cloudMs)}</Fact>
        <Fact name="Time in all">{duration(timing.totalMs)}</Fact>
        {cost && (
          <Fact name="Back office tokens">
            {count(cost.inputTokens)} in, {count(cost.outputTokens)} out
          </Fact>
        )}
        <Fact name="Left the device">{receipt ? `${count(receipt.bytes)} bytes` : 'nothing'}</Fact>
        <Fact name="Guarantee">{guaranteeSentence(result.guarantee)}</Fact>
      </dl>
    </details>
  );
}

/** What a screen reader hears, once per answer. */
export function spokenAnswer({ question, result }: Answer): string {
  const confidence = result.local?.confidence ?? result.confidence;
  const sure = confidence === null || result.source === 'cloud' ? '' : `, ${percent(confidence)} sure`;
  return `${result.value}${sure}. ${classificationSentence(result, question.threshold)}`;
}
