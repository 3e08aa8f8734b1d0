// Messages that need attention: errors with what to do, and being offline.
import type { JSX } from 'preact';
import { Icon } from './icons.js';
import { stoppedWords, type Mode } from './modes.js';
import type { Problem } from './problems.js';

interface ProblemProps {
  readonly problem: Problem;
  readonly action?: { readonly name: string; readonly run: () => void };
}

export function ProblemNotice({ problem, action }: ProblemProps): JSX.Element {
  return (
    <section class="notice notice-error" role="alert">
      <Icon name="alert" />
      <div>
        <h2>{problem.title}</h2>
        <p>
          {problem.kept} {problem.todo}
        </p>
        <p class="notice-detail">{problem.detail}</p>
      </div>
      {action && (
        <button type="button" class="button" onClick={action.run}>
          {action.name}
        </button>
      )}
    </section>
  );
}

/** An answer that a stricter mode has ended; whoever shows it also says it to who listens. */
export function StoppedNotice({ mode }: { readonly mode: Mode }): JSX.Element {
  return (
    <section class="notice" data-testid="stopped-notice">
      <Icon name="stop" />
      <div>
        <h2>{stoppedWords(mode)}</h2>
        <p>Nothing more leaves under the mode before, and your text is kept. Ask again, and it is answered in this mode.</p>
      </div>
    </section>
  );
}

export function OfflineNotice({ ready, upstream }: { readonly ready: boolean; readonly upstream: boolean }): JSX.Element {
  const office = upstream ? ' The back office cannot be reached until you are online again.' : '';
  return (
    <section class="notice" role="status">
      <Icon name="offline" />
      <div>
        <h2>You are offline.</h2>
        <p>{ready ? `The model goes on answering here.${office}` : 'A model that is kept in this browser starts all the same; one that is not can be downloaded when you are online again.'}</p>
      </div>
    </section>
  );
}
