/** SHA-256 of pieces that are in memory, by the browser where it can (worker only). */
import type { Sha256 } from '../engine_module.js';

/** Lower-case hex. */
export async function hashOf(bytes: Uint8Array<ArrayBuffer>, createHash: () => Sha256): Promise<string> {
  // Pages of insecure origins have no `subtle`.
  if (globalThis.isSecureContext) return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  const hash = createHash();
  hash.update(bytes);
  return hash.finish();
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
