/** Asks the browser, once a page, not to clear what this origin keeps when room gets scarce. */

/** Some browsers ask the person; nothing waits for the answer for longer than this. */
const LONGEST_WAIT_MS = 1000;

let asked: Promise<unknown> | undefined;

/** Resolves soon, whatever the answer is. */
export async function askPersistence(): Promise<void> {
  // Absent on insecure origins.
  const storage = (globalThis.navigator as Partial<Navigator> | undefined)?.storage;
  if (!storage) return;
  asked ??= storage.persisted().then((isPersistent) => isPersistent || storage.persist()).catch(() => false);
  await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, LONGEST_WAIT_MS))]);
}
