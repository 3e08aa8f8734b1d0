// A button that lets the visitor choose one file.
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

interface Props {
  readonly words: string;
  /** What the chooser shows: endings and media types. */
  readonly accept: string;
  /** What the file is called to those who listen. */
  readonly label: string;
  readonly disabled?: boolean;
  readonly onFile: (file: File) => void;
}

export function FileButton({ words, accept, label, disabled = false, onFile }: Props): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="button" disabled={disabled} onClick={() => input.current?.click()}>
        {words}
      </button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        aria-label={label}
        onChange={({ currentTarget }) => {
          const chosen = currentTarget.files?.[0];
          if (chosen !== undefined) onFile(chosen);
          // The same file may be chosen again after it was changed.
          currentTarget.value = '';
        }}
      />
    </>
  );
}
