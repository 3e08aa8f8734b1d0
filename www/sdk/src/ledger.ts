/** The ledger: every call's tokens, bytes and times, for what was spent and what was saved. */
import type { Outcome } from './cascade.js';
import { checkObject } from './checks.js';
import { InvalidInputError } from './errors.js';
import type { LedgerCall, Prices } from './protocol.js';
import type { CloudUsage } from './providers/provider.js';
import type { Run } from './run.js';

/** The oldest calls beyond these are forgotten. */
const MOST_CALLS = 100_000;

export class Ledger {
  readonly #calls: LedgerCall[] = [];

  /** The calls so far, oldest first. */
  get calls(): readonly LedgerCall[] {
    return this.#calls;
  }

  /** Notes a call; `size` is that of the request that was not sent. Without `outcome` there was no answer. */
  note(run: Run, { size, outcome }: { readonly size: number; readonly outcome?: Outcome<object, { readonly usage: CloudUsage | null }> }): void {
    const usage = outcome?.source === 'cloud' ? outcome.cloud.usage : null;
    const { totalMs, cloudMs } = run.timing;
    this.#calls.push({
      bytes: run.receipt?.bytes ?? size,
      wasSent: run.receipt !== undefined,
      totalMs,
      ...(usage && { usage }),
      ...(usage && cloudMs !== undefined && { cloudMs }),
    });
    if (this.#calls.length > MOST_CALLS) this.#calls.shift();
  }
}

export function checkPrices(prices: Prices): Prices {
  checkObject(prices, 'prices');
  const { inputPerMillion, outputPerMillion } = prices;
  for (const price of [inputPerMillion, outputPerMillion]) {
    if (!Number.isFinite(price) || price < 0) throw new InvalidInputError('a price is money for a million tokens, at least 0');
  }
  return { inputPerMillion, outputPerMillion };
}
