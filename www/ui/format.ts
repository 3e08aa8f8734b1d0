// Numbers as people read them: units, thousands, milliseconds below one second.

const COUNT = new Intl.NumberFormat('en-GB');

export function count(value: number): string {
  return COUNT.format(value);
}

/** "1 byte", "1,284 bytes": exact, for what left the device. */
export function exactBytes(bytes: number): string {
  return `${count(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
}

/** "98 MB": rounded, for downloads and memory; decimal units as browsers show them. */
export function roundBytes(bytes: number): string {
  if (bytes < 1000) return exactBytes(bytes);
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1) return 'under 1 ms';
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}

/** "about 12 s left", coarse on purpose: a figure that flickers is not read. */
export function timeLeft(seconds: number): string {
  if (seconds < 2) return 'almost done';
  if (seconds < 60) return `about ${Math.ceil(seconds)} s left`;
  return `about ${Math.ceil(seconds / 60)} min left`;
}

export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.5) return '<1%';
  // "100% sure" is said only when it is so after rounding down.
  return `${value >= 99.5 && value < 100 ? 99 : Math.round(value)}%`;
}

export function perSecond(amount: number, milliseconds: number): string | undefined {
  if (milliseconds <= 0 || amount <= 0) return undefined;
  const rate = (amount * 1000) / milliseconds;
  return `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))} tokens per second`;
}

export function threadWords(threads: number): string {
  return `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

/** "this browser has no workers" -> "This browser has no workers." */
export function sentenceOf(reason: string): string {
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${/[.!?]$/.test(reason) ? '' : '.'}`;
}

export function clock(date: Date): string {
  return date.toLocaleTimeString('en-GB');
}
