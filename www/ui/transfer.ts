// Speed and time left of a download, smoothed so that the figures can be read.

export interface Transfer {
  readonly loaded: number;
  readonly total: number;
  /** Bytes per second; 0 until it is known. */
  readonly rate: number;
}

/** Weight of the newest measurement; the rest is history. */
const NEWEST = 0.25;
const MIN_INTERVAL_MS = 250;

export class TransferMeter {
  #at: number | undefined;
  #loaded = 0;
  #rate = 0;

  /** `now` in milliseconds, from a clock that never goes back. */
  measure(progress: { loaded: number; total: number }, now: number): Transfer {
    const { loaded, total } = progress;
    if (this.#at === undefined) {
      // The first event may already hold the bytes of an interrupted download: they say nothing about speed.
      this.#at = now;
      this.#loaded = loaded;
    } else if (now - this.#at >= MIN_INTERVAL_MS) {
      const measured = Math.max(0, ((loaded - this.#loaded) * 1000) / (now - this.#at));
      this.#rate = this.#rate === 0 ? measured : NEWEST * measured + (1 - NEWEST) * this.#rate;
      this.#at = now;
      this.#loaded = loaded;
    }
    return { loaded, total, rate: this.#rate };
  }
}

/** Several files that come one after the other, counted as one. */
export class TransferSum {
  readonly #expected: number;
  #before = 0;
  #current: Amount = { loaded: 0, total: 0 };

  constructor(expected: number | null) {
    this.#expected = expected ?? 0;
  }

  add(progress: Amount): Amount {
    const isNext = progress.total !== this.#current.total || progress.loaded < this.#current.loaded;
    if (isNext) this.#before += this.#current.total;
    this.#current = { loaded: progress.loaded, total: progress.total };
    return { loaded: this.#before + progress.loaded, total: Math.max(this.#expected, this.#before + progress.total) };
  }
}

interface Amount {
  readonly loaded: number;
  readonly total: number;
}

export function secondsLeft(transfer: Transfer): number | undefined {
  return transfer.rate > 0 ? (transfer.total - transfer.loaded) / transfer.rate : undefined;
}
