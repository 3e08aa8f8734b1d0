// The service worker: keeps the page, the SDK and one WebAssembly module for visits without a network, each version whole and apart.
import { relaxedSimd } from 'wasm-feature-detect';

/** Written in when the site is built. */
declare const SITE: {
  /** The folder of all files that may change with a version. */
  readonly version: string;
  /** Added to every answer, where the host cannot. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 by path, relative to the scope; the page's own path is empty. */
  readonly files: Readonly<Record<string, string>>;
};

/** What newer browsers have, and TypeScript does not know yet. */
interface RoutingEvent extends ExtendableEvent {
  addRoutes?(rule: { readonly condition: { readonly requestMode: RequestMode }; readonly source: 'fetch-event' }): Promise<void>;
}

const worker = self as unknown as ServiceWorkerGlobalScope;
const scope = new URL(worker.registration.scope);
/** Other sites may lie below other paths of the same origin. */
const prefix = `frontdesk ${scope.pathname} `;
const SETTINGS = 'config.json';
/** This one, and one that pages which are still open may use. */
const MOST_VERSIONS = 2;

worker.addEventListener('install', (event) => {
  event.waitUntil(keepAll());
  // Chromium would ask the host for the page at the same time, and throw its answer away.
  (event as RoutingEvent).addRoutes?.({ condition: { requestMode: 'navigate' }, source: 'fetch-event' }).catch(() => undefined);
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(forgetOldOnes().then(() => worker.clients.claim()));
});

worker.addEventListener('message', ({ data }: { readonly data: unknown }) => {
  // The visitor has asked for the new version.
  if (data === 'take_over') void worker.skipWaiting();
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const path = pathOf(request.url);
  // Whatever is not named here goes to the network as if this worker were not there: models, and all that carries text.
  if (request.method !== 'GET' || path === undefined) return;
  if (path === SETTINGS) event.respondWith(settings(request));
  else if (request.mode === 'navigate' && (path === '' || path === 'index.html')) event.respondWith(answer(''));
  else if (path !== '' && (path in SITE.files || path.startsWith('v-'))) event.respondWith(answer(path));
});

/** Within the scope, without what follows a question mark. */
function pathOf(address: string): string | undefined {
  const { origin, pathname } = new URL(address);
  return origin === scope.origin && pathname.startsWith(scope.pathname) ? pathname.slice(scope.pathname.length) : undefined;
}

/** All or nothing: a file that is not this version's, as in the midst of an upload, ends the attempt, and the browser tries again later. */
async function keepAll(): Promise<void> {
  const name = prefix + SITE.version;
  const cache = await caches.open(name);
  try {
    const page = await fetchChecked('');
    const module = await moduleFolder(page);
    await cache.put(scope.href, page);
    const wanted = Object.keys(SITE.files).filter((path) => path !== '' && (!path.includes('/wasm/') || path.includes(module)));
    await Promise.all(wanted.map(async (path) => cache.put(new URL(path, scope), await fetchChecked(path))));
    const found = await fetch(new URL(SETTINGS, scope), { cache: 'no-store' });
    if (found.ok) await cache.put(new URL(SETTINGS, scope), found);
  } catch (error) {
    await caches.delete(name);
    throw error;
  }
}

async function fetchChecked(path: string): Promise<Response> {
  const response = await fetch(new URL(path, scope), { cache: 'no-cache' });
  const bytes = await response.clone().arrayBuffer();
  const hash = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
  if (!response.ok || hash !== SITE.files[path]) throw new Error(`${path} is not the file of version ${SITE.version}`);
  return response;
}

/** Of the module that the SDK will choose on pages that come from here. */
async function moduleFolder(page: Response): Promise<string> {
  const kind = (await relaxedSimd()) ? 'relaxed' : 'simd';
  const headers = withHeaders(page.headers);
  const isIsolated = headers.get('cross-origin-opener-policy') === 'same-origin' && headers.has('cross-origin-embedder-policy');
  return `/wasm/${kind}${isIsolated && navigator.hardwareConcurrency > 1 ? '-threads' : ''}/`;
}

async function forgetOldOnes(): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(prefix));
  // In the order in which they were made.
  const old = names.filter((name) => name !== prefix + SITE.version).slice(0, 1 - MOST_VERSIONS);
  await Promise.all(old.map((name) => caches.delete(name)));
}

/** A file of this version, or of the one that an open page has begun with. */
async function answer(path: string): Promise<Response> {
  const address = path === '' ? scope : new URL(path, scope);
  const own = await (await caches.open(prefix + SITE.version)).match(address);
  const response = own ?? (await earlier(address)) ?? (await fetched(path, address));
  const headers = withHeaders(response.headers);
  // The bytes are no longer compressed.
  headers.delete('content-encoding');
  headers.delete('content-length');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

async function earlier(address: URL): Promise<Response | undefined> {
  for (const name of await caches.keys()) {
    const found = name.startsWith(prefix) ? await (await caches.open(name)).match(address) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** What was not kept, e.g. another module that the page came to need; it is kept from now on. */
async function fetched(path: string, address: URL): Promise<Response> {
  if (!(path in SITE.files)) return fetch(address);
  const response = await fetchChecked(path);
  await (await caches.open(prefix + SITE.version)).put(address, response.clone());
  return response;
}

/** From the host while there is a way to it. */
async function settings(request: Request): Promise<Response> {
  const cache = await caches.open(prefix + SITE.version);
  try {
    const response = await fetch(request, { cache: 'no-store' });
    if (response.ok) await cache.put(request.url, response.clone());
    return response;
  } catch (error) {
    const known = (await cache.match(request.url)) ?? (await earlier(new URL(request.url)));
    if (known) return known;
    throw error;
  }
}

function withHeaders(before: Headers): Headers {
  const headers = new Headers(before);
  for (const [name, value] of Object.entries(SITE.headers)) headers.set(name, value);
  return headers;
}
