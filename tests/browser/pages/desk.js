// Gives the tests the SDK, and a way to look at what a call settled to.
import * as frontdesk from '/sdk/index.js';

/** Resolves to `{ value }` or, as plain data, `{ error }`; errors themselves lose their fields on the way to Node. */
async function settle(promise) {
  const start = performance.now();
  try {
    return { value: await promise, ms: performance.now() - start };
  } catch (error) {
    const { name, code, message, details, receipt } = error;
    const isDomException = error instanceof DOMException;
    const isFrontdeskError = frontdesk.FrontdeskError.isInstance(error);
    return { error: { name, code, message, details, receipt, isDomException, isFrontdeskError }, ms: performance.now() - start };
  }
}

/** The names of all model files on this origin, without the notes beside them. */
async function keptFiles() {
  const names = [];
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('frontdesk-models', { create: true });
  for await (const name of folder.keys()) if (!/^[0-9a-f]{64}\.json$/.test(name)) names.push(name);
  return names;
}

Object.assign(window, { frontdesk, settle, keptFiles });
document.documentElement.dataset.ready = 'yes';
