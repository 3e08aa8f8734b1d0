// The versions of the page that are kept on the device: each whole in a cache of its own, and a note of the one in use.

/** Written in when the site is built. */
declare const SITE: { readonly version: string };

const worker = self as unknown as ServiceWorkerGlobalScope;
export const scope = new URL(worker.registration.scope);
/** Other sites may lie below other paths of the same origin. */
const prefix = `frontdesk ${scope.pathname} `;
const ownName = prefix + SITE.version;
const noteName = `${prefix}in use`;
const noteAddress = new URL('version-in-use', scope);

/** Fills this version's cache; where that fails, nothing half remains, and what was there before stays. */
export async function makeOwn(fill: (cache: Cache) => Promise<void>): Promise<void> {
  // The same version comes twice where only the worker's script has changed; pages may be using it.
  const wasThere = await caches.has(ownName);
  try {
    await fill(await caches.open(ownName));
  } catch (error) {
    if (!wasThere) await caches.delete(ownName);
    throw error;
  }
}

/** Keeps a copy where there is room for it; an answer is as good without. */
export async function keep(address: URL, response: Response): Promise<void> {
  try {
    // Opening it would make it anew, after all was forgotten.
    if (await caches.has(ownName)) await (await caches.open(ownName)).put(address, response);
  } catch (error) {
    console.warn(`${address.pathname} is not kept:`, error);
  }
}

/** Of this version, or of one that an open page has begun with. */
export async function kept(address: URL): Promise<Response | undefined> {
  for (const name of [ownName, ...(await versionNames())]) {
    const found = (await caches.has(name)) ? await (await caches.open(name)).match(address) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** Notes this version as the one in use, and keeps beside it only the one before, which pages that are still open have begun with. */
export async function takeOver(): Promise<void> {
  const notes = await caches.open(noteName);
  const before = await (await notes.match(noteAddress))?.text();
  if (before === ownName) return;
  await notes.put(noteAddress, new Response(ownName));
  const { installing, waiting } = worker.registration;
  // One that is newer still is on its way, and its cache must stay; it tidies up when its turn comes.
  if (before === undefined || installing !== null || waiting !== null) return;
  const others = (await versionNames()).filter((name) => name !== ownName && name !== before);
  await Promise.all(others.map((name) => caches.delete(name)));
}

export async function forgetAll(): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
  await Promise.all(names.map((name) => caches.delete(name)));
}

async function versionNames(): Promise<readonly string[]> {
  return (await caches.keys()).filter((name) => name.startsWith(`${prefix}v-`));
}
