/** What stands where the compiler sees a gap that cannot be. */
import { InternalError } from './errors.js';

export function missing(): never {
  throw new InternalError('an answer is missing');
}
