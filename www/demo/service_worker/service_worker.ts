// The service worker: keeps the page, the SDK and one WebAssembly module for visits without a network, each version whole and apart.
import { relaxedSimd } from 'wasm-feature-detect';
import { forgetAll, keep, kept, makeOwn, scope, takeOver } from './versions.js';

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
const page = scope;
const SETTINGS = new URL('config.json', scope);
/** How long the page waits for the host's settings where there are kept ones. */
const SETTINGS_PATIENCE_MS = 2500;

worker.addEventListener('install', (event) => {
  event.waitUntil(makeOwn(keepAll));
  // Chromium would ask the host for the page at the same time, and throw its answer away.
  (event as RoutingEvent).addRoutes?.({ condition: { requestMode: 'navigate' }, source: 'fetch-event' }).catch(() => undefined);
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(takeOver().finally(() => worker.clients.claim()));
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
  if (path === 'config.json') answerSettings(event);
  else if (request.mode === 'navigate' && (path === '' || path === 'index.html')) answerPage(event);
  else if (path !== '' && (path in SITE.files || path.startsWith('v-'))) event.respondWith(answer(path));
});

/** Within the scope, without what follows a question mark. */
function pathOf(address: string): string | undefined {
  const { origin, pathname } = new URL(address);
  return origin === scope.origin && pathname.startsWith(scope.pathname) ? pathname.slice(scope.pathname.length) : undefined;
}

/** All or nothing: a file that is not this version's, as in the midst of an upload, ends the attempt, and the browser tries again later. */
async function keepAll(cache: Cache): Promise<void> {
  const shell = await fetchChecked('');
  const module = await moduleFolder(shell);
  await cache.put(page, shell);
  const wanted = Object.keys(SITE.files).filter((path) => path !== '' && (!path.includes('/wasm/') || path.includes(module)));
  await Promise.all(wanted.map(async (path) => cache.put(new URL(path, scope), await fetchChecked(path))));
  const found = await wholeSettings();
  if (found.ok) await keep(SETTINGS, found);
}

async function fetchChecked(path: string): Promise<Response> {
  const response = await fetch(new URL(path, scope), { cache: 'no-cache' });
  const bytes = await response.clone().arrayBuffer();
  const hash = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
  if (!response.ok || hash !== SITE.files[path]) throw new Error(`${path} is not the file of version ${SITE.version}`);
  return response;
}

/** Of the module that the SDK will choose on pages that come from here. */
async function moduleFolder(shell: Response): Promise<string> {
  const kind = (await relaxedSimd()) ? 'relaxed' : 'simd';
  const headers = withHeaders(shell.headers);
  const isIsolated = headers.get('cross-origin-opener-policy') === 'same-origin' && headers.has('cross-origin-embedder-policy');
  return `/wasm/${kind}${isIsolated && navigator.hardwareConcurrency > 1 ? '-threads' : ''}/`;
}

function answerPage(event: FetchEvent): void {
  const shell = answer('');
  event.respondWith(shell);
  // Once the visitor has the page.
  event.waitUntil(shell.then(leaveWhereGone));
}

/** A site that was taken away or has moved must not live on in here; one that cannot be reached, or is in trouble, does. */
async function leaveWhereGone(): Promise<void> {
  const response = await fetch(page, { redirect: 'manual', cache: 'no-store' }).catch(() => undefined);
  await response?.body?.cancel();
  const hasMoved = response?.type === 'opaqueredirect' && (await kept(page))?.redirected !== true;
  if (!hasMoved && response?.status !== 404 && response?.status !== 410) return;
  await worker.registration.unregister();
  await forgetAll();
}

/** A file of this version, or of the one that an open page has begun with. */
async function answer(path: string): Promise<Response> {
  const address = new URL(path, scope);
  const response = (await kept(address)) ?? (await fetched(path, address));
  const headers = withHeaders(response.headers);
  // The bytes are no longer compressed.
  headers.delete('content-encoding');
  headers.delete('content-length');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** What was not kept, e.g. another module that the page came to need; it is kept from now on. */
async function fetched(path: string, address: URL): Promise<Response> {
  if (!(path in SITE.files)) return fetch(address);
  const response = await fetchChecked(path);
  await keep(address, response.clone());
  return response;
}

/** From the host while there is a way to it that is not too long; what comes later counts the next time. */
function answerSettings(event: FetchEvent): void {
  const fresh = wholeSettings();
  event.waitUntil(fresh.then((response) => (response.ok ? keep(SETTINGS, response.clone()) : undefined)).catch(() => undefined));
  event.respondWith(freshOrKept(fresh));
}

async function freshOrKept(fresh: Promise<Response>): Promise<Response> {
  const known = await kept(SETTINGS);
  if (known === undefined) return fresh;
  const patience = new Promise<Response>((resolve) => setTimeout(() => resolve(known), SETTINGS_PATIENCE_MS));
  return Promise.race([fresh, patience]).catch(() => known);
}

/** With all its bytes: a connection may stop in the middle too. */
async function wholeSettings(): Promise<Response> {
  const response = await fetch(SETTINGS, { cache: 'no-store' });
  const whole = new Response(await response.arrayBuffer(), response);
  whole.headers.delete('content-encoding');
  // There is one answer for everybody here, and caches refuse "Vary: *".
  whole.headers.delete('vary');
  return whole;
}

function withHeaders(before: Headers): Headers {
  const headers = new Headers(before);
  for (const [name, value] of Object.entries(SITE.headers)) headers.set(name, value);
  return headers;
}
