// The tab “Chat”: a conversation with the language model, each answer with where it came from and what left.
import type { Frontdesk } from 'frontdesk';
import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from '../../../ui/icons.js';
import type { Ledger } from '../../../ui/ledger.js';
import { modePromise, type Mode } from '../../../ui/modes.js';
import { ProblemNotice, StoppedNotice } from '../../../ui/notices.js';
import { ChatTurn } from './chat_turn.js';
import { useChat, type Chat } from './use_chat.js';

export interface ChatProps {
  readonly ledger: Ledger;
  /** Who answers in this mode; `undefined` as long as nobody can. */
  readonly desk: Frontdesk | undefined;
  /** What is missing where there is nobody, and a button for it. */
  readonly obstacle: JSX.Element | undefined;
  readonly mode: Mode;
  readonly threshold: number;
  readonly upstream: boolean;
  /** The message of the tab “Decide”, for a reply to it. */
  readonly message: string;
  /** False while the other tab's question is answered. */
  readonly isFree: boolean;
  readonly onBusy: (isBusy: boolean) => void;
}

/** Nearer to the end than this, the view goes along with what is written. */
const NEAR_THE_END = 40;

export function ChatTab(props: ChatProps): JSX.Element {
  const { desk, mode, threshold, upstream, isFree, onBusy } = props;
  const chat = useChat(props.ledger);
  const { state } = chat;
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => onBusy(state.isBusy), [state.isBusy, onBusy]);
  // Before the new promise is painted. Without a back office nothing can leave in any mode.
  useLayoutEffect(() => {
    if (upstream) chat.heed({ mode, threshold });
  }, [upstream, mode, threshold]);

  const canSend = desk !== undefined && isFree && !state.isBusy && state.draft.trim() !== '';
  const order = desk && { desk, mode, threshold };
  const send = (how: 'send' | 'sendShorter' = 'send'): void => {
    if (canSend && order) chat[how](order);
    box.current?.focus();
  };
  const begin = (): void => {
    chat.begin();
    box.current?.focus();
  };
  return (
    <section class="pane chat" aria-labelledby="chat-title">
      <div class="chat-head">
        <h2 id="chat-title">A conversation with the model</h2>
        <button type="button" class="button" disabled={state.isBusy || (state.turns.length === 0 && !state.isTooLong)} onClick={begin}>
          <Icon name="add" />
          New chat
        </button>
      </div>
      <p class="visually-hidden" role="status" data-testid="chat-said">
        {state.said}
      </p>
      <Conversation chat={chat} message={props.message} onPick={() => box.current?.focus()} />
      {state.stoppedFor && <StoppedNotice mode={state.stoppedFor} />}
      {state.problem && <ProblemNotice problem={state.problem} />}
      {state.isTooLong && <TooLong hasMore={state.turns.length > 0} canSend={canSend} onShorter={() => send('sendShorter')} onNew={begin} />}
      {props.obstacle}
      <form
        class="chat-form"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <label class="visually-hidden" for="chat-box">
          Your message
        </label>
        <textarea
          id="chat-box"
          ref={box}
          rows={2}
          value={state.draft}
          placeholder="Write to the model. Enter sends, Shift Enter begins a new line."
          onInput={(event) => chat.write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
        {state.isBusy ? (
          <button type="button" class="button button-main" onClick={chat.stop}>
            <Icon name="stop" />
            Stop
          </button>
        ) : (
          <button type="submit" class="button button-main" aria-disabled={!canSend}>
            <Icon name="run" />
            Send
          </button>
        )}
      </form>
      <p class="chat-note">A small model writes this: it can be wrong. {modePromise(mode, { threshold, upstream })}</p>
    </section>
  );
}

interface ConversationProps {
  readonly chat: Chat;
  readonly message: string;
  readonly onPick: () => void;
}

function Conversation({ chat: { state, write }, message, onPick }: ConversationProps): JSX.Element {
  const view = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    const { current } = view;
    if (current !== null && isAtEnd.current) current.scrollTop = current.scrollHeight;
  }, [state.turns]);
  const { draft } = state;
  const starters = startersFor(message);
  const pick = (text: string): void => {
    // Another starter takes the place of one; what somebody wrote stays.
    const isTheirs = draft.trim() !== '' && !starters.some((starter) => starter.text === draft);
    write(isTheirs ? `${draft.trimEnd()}\n\n${text}` : text);
    onPick();
  };
  return (
    <div
      ref={view}
      class="chat-view"
      role="region"
      aria-label="Conversation"
      aria-busy={state.isBusy}
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => (isAtEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_THE_END)}
    >
      {state.turns.length === 0 ? (
        <div class="chat-empty">
          <p>Ask something, or begin with one of these. What you write stays in this tab unless the mode above sends it, and it is gone when you reload.</p>
          <ul class="samples" aria-label="To begin with">
            {starters.map(({ title, text }) => (
              <li key={title}>
                <button type="button" class="sample" onClick={() => pick(text)}>
                  {title}
                </button>
              </li>
            ))}
          </ul>
        </div>
      ) : (
        <ol class="chat-turns">
          {state.turns.map((turn) => (
            <ChatTurn key={turn.id} turn={turn} isFirstSent={turn.id === state.first && turn !== state.turns[0]} />
          ))}
        </ol>
      )}
    </div>
  );
}

function startersFor(message: string): readonly { readonly title: string; readonly text: string }[] {
  return [
    ...(message.trim() === '' ? [] : [{ title: 'Reply to the message in Decide', text: `Write a short, polite reply to this customer message:\n\n${message.trim()}` }]),
    { title: 'Say it in one sentence', text: 'Say in one sentence: The parcel left our warehouse on Monday, the courier has it, and it should be with you by Thursday evening.' },
    { title: 'What is a refund?', text: 'What is a refund?' },
  ];
}

interface TooLongProps {
  /** There are earlier turns, which could be left out. */
  readonly hasMore: boolean;
  readonly canSend: boolean;
  readonly onShorter: () => void;
  readonly onNew: () => void;
}

function TooLong({ hasMore, canSend, onShorter, onNew }: TooLongProps): JSX.Element {
  return (
    <section class="notice notice-error" role="alert">
      <Icon name="alert" />
      <div>
        <h2>{hasMore ? 'The conversation is longer than the model can read.' : 'The message is longer than the model can read.'}</h2>
        <p>Nothing is lost: your message is back in the box{hasMore ? ', and the conversation stays. Go on without its earlier half, or begin a new one' : '. Shorten it, and send it again'}.</p>
      </div>
      {hasMore && (
        <>
          <button type="button" class="button" aria-disabled={!canSend} onClick={onShorter}>
            Send without the earlier half
          </button>
          <button type="button" class="button" onClick={onNew}>
            New chat with this message
          </button>
        </>
      )}
    </section>
  );
}
