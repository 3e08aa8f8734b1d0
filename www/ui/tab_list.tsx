// A row of tabs: one Tab stop, arrows and Home/End move and show at once.
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

interface Props<Id extends string> {
  readonly name: string;
  readonly tabs: readonly { readonly id: Id; readonly name: string }[];
  readonly shown: Id;
  readonly onShow: (id: Id) => void;
}

/** The panels are the caller's: `<div role="tabpanel" id="panel-ID" aria-labelledby="tab-ID" hidden={...}>`. */
export function TabList<Id extends string>({ name, tabs, shown, onShow }: Props<Id>): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const at = tabs.findIndex(({ id }) => id === shown);
    const steps: Readonly<Record<string, number>> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 };
    const step = steps[event.key];
    if (step === undefined) return;
    const next = tabs[(step + tabs.length) % tabs.length];
    if (next === undefined) return;
    event.preventDefault();
    onShow(next.id);
    list.current?.querySelector<HTMLButtonElement>(`#tab-${next.id}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={name} ref={list} onKeyDown={move}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          type="button"
          role="tab"
          id={`tab-${tab.id}`}
          class="tab"
          aria-selected={tab.id === shown}
          aria-controls={`panel-${tab.id}`}
          tabIndex={tab.id === shown ? 0 : -1}
          onClick={() => onShow(tab.id)}
        >
          {tab.name}
        </button>
      ))}
    </div>
  );
}
