/** One thread of the engine's pool: enters the engine's memory and works for it until it is ended. */
import { importGlue } from './glue.js';
import type { FromThread, ToThread } from './threads.js';

interface ThreadScope {
  postMessage(message: FromThread): void;
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
}

const scope = self as unknown as ThreadScope;

scope.onmessage = ({ data }) => {
  void serve(data);
};

async function serve({ variant, compiled, memory }: ToThread): Promise<void> {
  const module = await importGlue(variant);
  module.initSync({ module: compiled, memory });
  scope.postMessage('ready');
  try {
    module.serveThreads();
  } catch (error) {
    // The caller must not wait for a thread that trapped inside a job.
    module.failThreads();
    throw error;
  }
}
