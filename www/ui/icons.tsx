// The page's few icons as inline SVG; decorative, because words always stand beside them.
import type { JSX } from 'preact';

const PATHS = {
  /** A desk bell: answered here. */
  here: 'M3 17h18M5 17a7 7 0 0 1 14 0M12 10V7M10 7h4',
  /** An office building: the back office. */
  office: 'M5 20V5a1 1 0 0 1 1-1h8a1 1 0 0 1 1 1v15M15 10h3a1 1 0 0 1 1 1v9M3 20h18M8.5 8h3M8.5 12h3M8.5 16h3',
  /** A sheet with lines: the message. */
  reading: 'M5 4.5h14v15H5zM8.5 9h7M8.5 12.5h7M8.5 16h4',
  alert: 'M12 4 2.8 19.5h18.4L12 4ZM12 10v4.5M12 17.2v.1',
  question: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM9.6 9.4a2.5 2.5 0 1 1 3.6 2.5c-.8.4-1.2.9-1.2 1.7M12 16.6v.1',
  download: 'M12 4v11M7.5 10.5 12 15l4.5-4.5M4 19.5h16',
  run: 'M7 4.5v15l12-7.5-12-7.5Z',
  stop: 'M6.5 6.5h11v11h-11z',
  close: 'M6 6l12 12M18 6 6 18',
  add: 'M12 5v14M5 12h14',
  check: 'M4.5 12.5 10 18 19.5 6.5',
  chevron: 'M8.5 5.5 15 12l-6.5 6.5',
  theme: 'M12 3a9 9 0 1 0 0 18V3Z M12 3a9 9 0 0 1 0 18',
  offline: 'M3 3l18 18M8.6 12.8a6 6 0 0 1 3.4-1.1M5 9.5a11 11 0 0 1 4-2.3M13.5 6.6A11 11 0 0 1 19 9.5M15.4 13a6 6 0 0 0-.9-.6M12 18v.1',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  const filled = name === 'run' || name === 'stop';
  return (
    <svg class={filled ? 'icon icon-filled' : 'icon'} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
