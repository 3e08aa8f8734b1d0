// The right-hand pane: two tabs, the answer and the reply draft.
import type { JSX, RefObject } from 'preact';
import { useRef } from 'preact/hooks';
import { AnswerCard } from './answer_card.js';
import { ReplyDraft } from './reply_draft.js';
import type { AnswerState } from './use_answer.js';
import type { DraftState } from './use_draft.js';

interface Props {
  readonly paneRef: RefObject<HTMLElement | null>;
  readonly shown: TabId;
  readonly onShow: (id: TabId) => void;
  readonly text: string;
  readonly answering: AnswerState;
  readonly drafting: DraftState;
  readonly upstreamHost: string | undefined;
  readonly threads: number | undefined;
  readonly canDraft: boolean;
  readonly onDraft: () => void;
  readonly onStopDraft: () => void;
}

const TABS = [
  { id: 'answer', name: 'Answer' },
  { id: 'draft', name: 'Reply draft' },
] as const;

export type TabId = (typeof TABS)[number]['id'];

export function AnswerPane(props: Props): JSX.Element {
  const { shown } = props;
  return (
    <section class="pane" aria-label="What came of it" ref={props.paneRef}>
      <TabList shown={shown} onShow={props.onShow} />
      <div role="tabpanel" id="panel-answer" aria-labelledby="tab-answer" hidden={shown !== 'answer'}>
        <AnswerCard state={props.answering} text={props.text} upstreamHost={props.upstreamHost} threads={props.threads} />
      </div>
      <div role="tabpanel" id="panel-draft" aria-labelledby="tab-draft" hidden={shown !== 'draft'}>
        <ReplyDraft state={props.drafting} canDraft={props.canDraft} onDraft={props.onDraft} onStop={props.onStopDraft} />
      </div>
    </section>
  );
}

function TabList({ shown, onShow }: { readonly shown: TabId; readonly onShow: (id: TabId) => void }): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const other: TabId = shown === 'answer' ? 'draft' : 'answer';
  const move = (event: KeyboardEvent): void => {
    // Two tabs: each arrow leads to the other one.
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    event.preventDefault();
    onShow(other);
    list.current?.querySelector<HTMLButtonElement>(`#tab-${other}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Results" ref={list} onKeyDown={move}>
      {TABS.map(({ id, name }) => (
        <button
          key={id}
          type="button"
          role="tab"
          id={`tab-${id}`}
          class="tab"
          aria-selected={id === shown}
          aria-controls={`panel-${id}`}
          tabIndex={id === shown ? 0 : -1}
          onClick={() => onShow(id)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
