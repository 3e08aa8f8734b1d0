// Where a text goes: a queue where the model is sure enough or the back office has said so, else a person.
import type { JSX } from 'preact';
import { percent } from '../../../ui/format.js';
import { Icon, type IconName } from '../../../ui/icons.js';
import { ProbabilityBars } from '../../../ui/probability_bars.js';
import { classificationSentence, originOf, type Origin } from '../../../ui/provenance.js';
import type { Answered } from '../shared/protocol.js';

const ORIGINS: Readonly<Record<Origin, { readonly icon: IconName; readonly words: string }>> = {
  here: { icon: 'here', words: 'Here' },
  office: { icon: 'office', words: 'Back office' },
  unsure: { icon: 'question', words: 'Unsure, here' },
};

/** A queue's name; undefined where a person should look. */
export function queueOf({ question, result }: Answered): string | undefined {
  if (result.source === 'cloud') return result.value;
  const confidence = result.local?.confidence ?? result.confidence ?? 0;
  return confidence >= question.threshold ? result.value : undefined;
}

interface Props {
  readonly answer: Answered;
  /** What is in the box now. */
  readonly text: string;
}

export function RouteCard({ answer, text }: Props): JSX.Element {
  const { question, result } = answer;
  const queue = queueOf(answer);
  const origin = queue === undefined ? 'unsure' : originOf(result);
  const { icon, words } = ORIGINS[origin];
  const probabilities = result.local?.probabilities ?? result.probabilities;
  return (
    <div class="answer-body" data-origin={origin}>
      <p>
        <span class="answer-origin">
          <Icon name={icon} /> {words}
        </span>
        {question.text !== text && <span class="answer-earlier">to the text before</span>}
      </p>
      <p class="answer-value" data-testid="route-value">
        {queue ?? 'A person'}
      </p>
      <p class="answer-sentence" data-testid="route-sentence">
        {routeSentence(answer)}
      </p>
      {probabilities.length > 0 && <ProbabilityBars probabilities={probabilities} chosen={result.value} threshold={question.threshold} title={result.source === 'cloud' ? 'What the model here thought' : 'How sure the model is'} />}
    </div>
  );
}

export function routeSentence(answer: Answered): string {
  const { question, result } = answer;
  if (queueOf(answer) !== undefined) return classificationSentence(result, question.threshold);
  const confidence = result.local?.confidence ?? result.confidence ?? 0;
  const asked = result.cloudError === undefined ? '' : ' The back office was asked and could not answer.';
  return `A person should look: the model was only ${percent(confidence)} sure of “${result.value}” (${percent(question.threshold)} needed).${asked}`;
}
