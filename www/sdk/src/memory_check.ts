/** Refuses models that cannot be in memory, before anything is fetched: a tab that runs out of it is killed without a word. */
import { OutOfMemoryError } from './errors.js';
import type { ModelFile } from './protocol.js';

const GIB = 2 ** 30;
/** What WebAssembly can address; a model is a little larger in memory than in its file. */
const ADDRESSABLE_BYTES = 4 * GIB;

/** Throws where the models that are to be loaded together are larger than this device's memory, or than a module's. */
export function checkMemory(models: readonly ModelFile[]): void {
  // In Chromium only, and rounded.
  const { deviceMemory = Infinity } = navigator as { readonly deviceMemory?: number };
  const availableBytes = Math.min(ADDRESSABLE_BYTES, deviceMemory * GIB);
  const neededBytes = models.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  if (neededBytes < availableBytes) return;
  const message = `the models take ${neededBytes} bytes, and there is memory for at most ${availableBytes}`;
  throw new OutOfMemoryError(message, { details: { neededBytes, availableBytes } });
}
