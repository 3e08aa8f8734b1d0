// The text in the box, and those that were written by hand and made room for a selection.
import { useCallback, useMemo, useState } from 'preact/hooks';

interface Box {
  readonly text: string;
  readonly isWritten: boolean;
  /** Oldest first. */
  readonly kept: readonly string[];
}

export interface TextBox {
  readonly text: string;
  /** Whether a text that was written can be had back. */
  readonly hasKept: boolean;
  readonly write: (text: string) => void;
  readonly replace: (selection: string) => void;
  /** The newest text that was kept; one that was written meanwhile is kept in its turn. */
  readonly back: () => void;
}

export function useText(): TextBox {
  const [box, setBox] = useState<Box>({ text: '', isWritten: false, kept: [] });
  const write = useCallback((text: string) => setBox(({ kept }) => ({ text, isWritten: true, kept })), []);
  const replace = useCallback((selection: string) => setBox((before) => ({ text: selection, isWritten: false, kept: [...before.kept, ...worthKeeping(before, selection)] })), []);
  const back = useCallback(
    () =>
      setBox((before) => {
        const text = before.kept.at(-1);
        return text === undefined ? before : { text, isWritten: true, kept: [...worthKeeping(before, text), ...before.kept.slice(0, -1)] };
      }),
    [],
  );
  return useMemo(() => ({ text: box.text, hasKept: box.kept.length > 0, write, replace, back }), [box, write, replace, back]);
}

function worthKeeping({ text, isWritten }: Box, next: string): readonly string[] {
  return isWritten && text.trim() !== '' && text !== next ? [text] : [];
}
