// Runs in the engine's workers and in the service worker before anything else: takes away what could reach another host.
// A worker's policy is the manifest's, which no page can narrow; this is our own code's word, not the browser's.

const send = globalThis.fetch;
const { origin } = globalThis.location;

globalThis.fetch = (input, init) => {
  const address = new URL(input instanceof Request ? input.url : input, globalThis.location.href);
  return address.origin === origin ? send(input, init) : Promise.reject(new TypeError(`a worker of the extension reaches its own files only, not ${address.host}`));
};

for (const name of ['XMLHttpRequest', 'WebSocket', 'WebSocketStream', 'EventSource', 'WebTransport']) Reflect.deleteProperty(globalThis, name);

export {};
