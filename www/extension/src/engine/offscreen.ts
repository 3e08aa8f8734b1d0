// The engine's page: answers calls of the extension's own pages over ports, and lives on when the service worker ends.
import * as v from 'valibot';
import { type FromEngine, PORT_NAME, REQUESTS, TO_ENGINE, type Verb } from '../shared/protocol.js';
import { type Call, handlers, type Handlers } from './handlers.js';
import { CodedError, wireError } from './wire_error.js';

chrome.runtime.onConnect.addListener((port) => {
  if (isOurs(port)) serve(port);
  else port.disconnect();
});

/** Web pages and other extensions have no way here; should there be one some day, they are still not heard. */
function isOurs({ name, sender }: chrome.runtime.Port): boolean {
  return name === PORT_NAME && sender?.id === chrome.runtime.id && sender.url !== undefined && new URL(sender.url).origin === location.origin;
}

function serve(port: chrome.runtime.Port): void {
  const running = new Map<number, AbortController>();
  const send = (message: FromEngine): void => {
    // After the page has closed there is nobody to tell.
    if (open) port.postMessage(message);
  };
  let open = true;
  port.onDisconnect.addListener(() => {
    open = false;
    for (const controller of running.values()) controller.abort();
  });
  port.onMessage.addListener((message: unknown) => {
    const parsed = v.safeParse(TO_ENGINE, message);
    if (!parsed.success) return refuse(message);
    const { id } = parsed.output;
    if ('abort' in parsed.output) return running.get(id)?.abort();
    if (running.has(id)) return refuse(message);
    const controller = new AbortController();
    running.set(id, controller);
    const emit = (event: unknown): void => {
      if (running.has(id)) send({ id, event });
    };
    run(parsed.output.verb, parsed.output.request, { signal: controller.signal, emit })
      .then((response) => ({ id, response }))
      .catch((error: unknown) => ({ id, error: wireError(error) }))
      .then((end) => {
        running.delete(id);
        send(end);
      })
      .catch(console.error);
  });
  const refuse = (message: unknown): void => {
    const id = typeof message === 'object' && message !== null && 'id' in message ? v.safeParse(v.pipe(v.number(), v.integer()), message.id) : undefined;
    if (id?.success === true && !running.has(id.output)) send({ id: id.output, error: { code: 'invalid_message', message: 'this is no message of ours' } });
    else console.warn('a message was refused');
  };
}

async function run<V extends Verb>(verb: V, given: unknown, { signal, emit }: Omit<Call<V>, 'request'>): Promise<unknown> {
  const request = v.safeParse(REQUESTS[verb], given);
  if (!request.success) throw new CodedError('invalid_message', `${verb} cannot be asked this way: ${request.issues[0].message}`);
  const handle: Handlers[V] = handlers[verb];
  return handle({ request: request.output, signal, emit });
}
