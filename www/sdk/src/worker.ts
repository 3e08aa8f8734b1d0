/** The worker: takes its page's calls to the engine, its own or the one that all tabs share. */
import * as host from './host.js';
import { toWireError } from './wire_errors.js';
import type { FromWorker, LoadRequest, ToWorker } from './protocol.js';
import { canShare, SharedEngine } from './sharing.js';
import { askForSubgroups } from './subgroups.js';

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
askForSubgroups();

let shared: SharedEngine | undefined;
/** Where the page's messages go, once that is decided. */
let line: Promise<(message: ToWorker) => void> | undefined;

scope.onmessage = ({ data: message }) => {
  line ??= openLine(message);
  void line.then((send) => {
    send(message);
  });
};

async function openLine(first: ToWorker): Promise<(message: ToWorker) => void> {
  if (first.verb === 'load' && first.request.share !== false && (await canShare())) {
    const mine = new SharedEngine({ key: keyOf(first.request), load: first.request, host, toPage: page.post });
    shared = mine;
    return (message) => {
      mine.receive(message);
    };
  }
  return (message) => {
    host.receive(message, page);
  };
}

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
