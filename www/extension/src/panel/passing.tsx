// Holds something that comes and goes; where it goes while the focus is in it, the focus goes on elsewhere.
import type { ComponentChildren, JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

interface Props {
  /** Where the focus goes on. */
  readonly onFocusLost: () => void;
  readonly children: ComponentChildren;
}

export function Passing({ onFocusLost, children }: Props): JSX.Element {
  const holder = useRef<HTMLDivElement>(null);
  const goOn = useRef(onFocusLost);
  goOn.current = onFocusLost;
  useLayoutEffect(() => {
    const held = holder.current;
    return () => {
      if (held?.contains(document.activeElement) === true) goOn.current();
    };
  }, []);
  return <div ref={holder}>{children}</div>;
}
