/** The worker: takes its page's calls to the engine, its own or the one that all tabs share. */
import * as host from './host.js';
import { toWireError } from './wire_errors.js';
import type { FromWorker, LoadRequest, ToWorker } from './protocol.js';
import { canShare, SharedEngine } from './sharing.js';

/** The part of a dedicated worker's scope that is used. */
interface WorkerScope {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  addEventListener(type: 'error', listener: (event: ErrorEvent) => void): void;
  addEventListener(type: 'unhandledrejection', listener: (event: PromiseRejectionEvent) => void): void;
}

const scope = self as unknown as WorkerScope;
const page: host.Caller = {
  name: 'page',
  post: (message) => {
    scope.postMessage(message);
  },
};
let shared: SharedEngine | undefined;

scope.onmessage = ({ data: message }) => {
  if (message.verb === 'load' && message.request.share !== false && canShare()) {
    shared ??= new SharedEngine({ key: keyOf(message.request), load: message.request, host, toPage: page.post });
  }
  if (shared) shared.receive(message);
  else host.receive(message, page);
};

host.listenForMoves((change) => {
  if (shared) shared.tellAll({ moved: change });
  else page.post({ moved: change });
});

// The page may have asked for nothing: another tab did.
host.listenForCrash((error) => {
  page.post({ died: toWireError(error) });
});

// A trap inside the engine's own asynchronous code rejects no promise; it only shows here.
scope.addEventListener('error', (event) => {
  onUncaught(event.error, event);
});
scope.addEventListener('unhandledrejection', (event) => {
  onUncaught(event.reason, event);
});

function onUncaught(error: unknown, event: Event): void {
  if (!(error instanceof WebAssembly.RuntimeError)) return;
  event.preventDefault();
  host.noteCrash(error);
}

/** Who may share: those who would load the same in the same way. */
function keyOf(request: LoadRequest): string {
  return JSON.stringify([FRONTDESK_VERSION, self.location.href, self.crossOriginIsolated, request]);
}
