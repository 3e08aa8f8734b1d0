// The right-hand pane: two tabs, the answer and the reply draft.
import type { JSX, RefObject } from 'preact';
import { AnswerCard } from '../../ui/answer_card.js';
import { ReplyDraft } from './reply_draft.js';
import { TabList } from '../../ui/tab_list.js';
import type { AnswerState } from '../../ui/answer_state.js';
import type { DraftState } from './use_draft.js';

interface Props {
  readonly paneRef: RefObject<HTMLElement | null>;
  readonly shown: TabId;
  readonly onShow: (id: TabId) => void;
  readonly text: string;
  readonly answering: AnswerState;
  readonly drafting: DraftState;
  readonly upstreamHost: string | undefined;
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
      <TabList name="Results" tabs={TABS} shown={shown} onShow={props.onShow} />
      <div role="tabpanel" id="panel-answer" aria-labelledby="tab-answer" hidden={shown !== 'answer'}>
        <AnswerCard state={props.answering} text={props.text} upstreamHost={props.upstreamHost} />
      </div>
      <div role="tabpanel" id="panel-draft" aria-labelledby="tab-draft" hidden={shown !== 'draft'}>
        <ReplyDraft state={props.drafting} canDraft={props.canDraft} onDraft={props.onDraft} onStop={props.onStopDraft} />
      </div>
    </section>
  );
}
