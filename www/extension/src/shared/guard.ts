// Runs in the engine's workers and in the service worker before anything else: takes away what could reach another host.
// A worker's policy is the manifest's, which no page can narrow; this is our own code's word, not the browser's.

const send = globalThis.fetch.bind(globalThis);
const { origin } = globalThis.location;

const guardedFetch: typeof globalThis.fetch = async (input, init) => {
  // Read once: an object could name another address the next time.
  const request = new Request(input, init);
  const address = new URL(request.url);
  if (address.origin !== origin) throw new TypeError(`a worker of the extension reaches its own files only, not ${address.host}`);
  return send(request);
};

/** The global object and all that it inherits from. */
function* scopes(): Generator<object> {
  for (let scope: object | null = globalThis; scope !== null && scope !== Object.prototype; scope = Object.getPrototypeOf(scope) as object | null) yield scope;
}

for (const scope of scopes()) {
  if (scope === globalThis || Object.hasOwn(scope, 'fetch')) Object.defineProperty(scope, 'fetch', { value: guardedFetch, writable: false, configurable: false });
}

/** Methods that fetch by themselves; their objects can be had in more ways than by a global name. */
const FETCHING: Readonly<Record<string, readonly string[]>> = {
  Cache: ['add', 'addAll'],
  BackgroundFetchManager: ['fetch'],
  ServiceWorkerRegistration: ['backgroundFetch'],
};
for (const [name, methods] of Object.entries(FETCHING)) {
  const { prototype } = ((globalThis as Record<string, unknown>)[name] ?? {}) as { readonly prototype?: object };
  if (prototype !== undefined) for (const method of methods) Reflect.deleteProperty(prototype, method);
}

const TAKEN = ['XMLHttpRequest', 'WebSocket', 'WebSocketStream', 'EventSource', 'WebTransport', 'caches', 'Cache', 'CacheStorage', 'BackgroundFetchManager', 'BackgroundFetchRecord', 'BackgroundFetchRegistration'];
for (const scope of scopes()) for (const name of TAKEN) Reflect.deleteProperty(scope, name);

export {};
