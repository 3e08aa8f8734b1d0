// Errors in words: what happened, what was not lost, what to do.
import { FrontdeskError, type Backend } from 'frontdesk';
import { backendName, type BackendChoice } from './backends.js';

export interface Problem {
  readonly title: string;
  readonly kept: string;
  readonly todo: string;
  /** For a bug report. */
  readonly detail: string;
}

type Words = Omit<Problem, 'detail'>;

const TEXT_KEPT = 'Your text is still in the box.';
const NOTHING_SENT = 'Nothing was sent.';
const SERVER_HAS_BAD_FILE = 'Try again. If it happens twice, fetch the file anew on the server: ./build.sh demo.';
const ASK_HERE = 'Try again, or choose a mode that lets the model here answer.';

/** By the `code` of the SDK's errors. */
const BY_CODE: Readonly<Record<string, Words>> = {
  unsupported_browser: {
    title: 'This browser cannot run the model.',
    kept: NOTHING_SENT,
    todo: 'Use a current Chrome, Edge, Firefox or Safari.',
  },
  download_failed: {
    title: 'The download stopped.',
    kept: 'What has arrived is kept. Nothing was sent.',
    todo: 'Check the connection, then try again.',
  },
  length_mismatch: {
    title: 'The model file has the wrong length.',
    kept: 'No half file is used. Nothing was sent.',
    todo: SERVER_HAS_BAD_FILE,
  },
  hash_mismatch: {
    title: 'The model file is not the one expected.',
    kept: 'The wrong file was thrown away before any of it ran. Nothing was sent.',
    todo: SERVER_HAS_BAD_FILE,
  },
  invalid_model: { title: 'The model file is damaged.', kept: NOTHING_SENT, todo: SERVER_HAS_BAD_FILE },
  unsupported_model: { title: 'This kind of model file is not supported.', kept: NOTHING_SENT, todo: SERVER_HAS_BAD_FILE },
  module_load_failed: {
    title: 'The engine’s own files could not be loaded.',
    kept: NOTHING_SENT,
    todo: 'Reload the page. If it stays, build the demo again on the server: ./build.sh demo.',
  },
  storage_full: {
    title: 'There is no room for the model on this device.',
    kept: 'No half file is left behind. Nothing was sent.',
    todo: 'Free some space, or leave private browsing, then try again.',
  },
  out_of_memory: {
    title: 'There is not enough memory for the model.',
    kept: NOTHING_SENT,
    todo: 'Close other tabs and programs, then try again.',
  },
  context_overflow: {
    title: 'The text is longer than the model can read.',
    kept: TEXT_KEPT,
    todo: 'Shorten it, or paste only the part that matters.',
  },
  invalid_input: { title: 'This cannot be run as it is.', kept: TEXT_KEPT, todo: 'Check the text and the labels.' },
  engine_crashed: { title: 'The engine stopped.', kept: TEXT_KEPT, todo: 'Run again: a fresh one starts by itself.' },
  worker_died: { title: 'The engine stopped.', kept: TEXT_KEPT, todo: 'Run again: a fresh one starts by itself.' },
  upstream_status: { title: 'The back office answered with an error.', kept: TEXT_KEPT, todo: ASK_HERE },
  rate_limited: { title: 'The back office has too much to do.', kept: TEXT_KEPT, todo: 'Wait a little, or choose “Only here”.' },
  cloud_paused: { title: 'The back office asked for a pause.', kept: `${TEXT_KEPT} It was not sent.`, todo: 'Wait a little, or choose “Only here”.' },
  upstream_timeout: { title: 'The back office took too long.', kept: TEXT_KEPT, todo: ASK_HERE },
  upstream_malformed: { title: 'The back office’s answer made no sense.', kept: TEXT_KEPT, todo: ASK_HERE },
  upstream_network: { title: 'The back office could not be reached.', kept: TEXT_KEPT, todo: ASK_HERE },
  no_answer: { title: 'Neither the model here nor the back office could answer.', kept: TEXT_KEPT, todo: 'Try again, or reload the page.' },
};

const UNKNOWN: Words = { title: 'Something went wrong.', kept: TEXT_KEPT, todo: 'Try again; if it stays, reload the page.' };

const MODEL_MISSING: Words = {
  title: 'The model file is not on this server.',
  kept: NOTHING_SENT,
  todo: 'Fetch it there with ./build.sh demo, then try again.',
};

const TASK_KEPT = 'What was learnt before is unchanged.';

/** Where teaching needs words of its own. */
const OF_TEACHING: Readonly<Record<string, Words>> = {
  invalid_input: { title: 'This cannot be done with what it has.', kept: TASK_KEPT, todo: 'Check the rows and their labels; the line below says what is wrong.' },
  invalid_task: { title: 'This file cannot be used.', kept: TASK_KEPT, todo: 'Choose a file that “Export” has saved and nobody has changed.' },
  storage_full: { title: 'There is no room to keep what would be learnt.', kept: TASK_KEPT, todo: 'Free some space, or leave private browsing, then try again.' },
  engine_crashed: { title: 'The engine stopped.', kept: TASK_KEPT, todo: 'Try again: a fresh one starts by itself.' },
  worker_died: { title: 'The engine stopped.', kept: TASK_KEPT, todo: 'Try again: a fresh one starts by itself.' },
};

/** Where a GPU that was asked for needs words of its own. */
const OF_THE_GPU: Readonly<Record<string, Omit<Words, 'kept'>>> = {
  unsupported_browser: { title: 'This browser has no WebGPU.', todo: 'Use a current Chrome, Edge, Firefox or Safari, or stay with the CPU.' },
  backend: { title: 'The GPU cannot be used.', todo: 'Update the browser or the graphics driver, or stay with the CPU.' },
  device_lost: { title: 'The GPU was lost.', todo: 'Try the GPU again, or stay with the CPU.' },
  out_of_memory: { title: 'The GPU has not enough memory for the model.', todo: 'Close other tabs and programs, or stay with the CPU.' },
  unsupported_model: { title: 'The GPU cannot compute this model.', todo: 'Stay with the CPU.' },
};

export function problemOf(error: unknown): Problem {
  const { code, message, status } = errorFacts(error);
  const words = code === 'download_failed' && status === 404 ? MODEL_MISSING : (BY_CODE[code] ?? UNKNOWN);
  return { ...words, detail: `${code}: ${message}` };
}

export function teachingProblemOf(error: unknown): Problem {
  const { code, message } = errorFacts(error);
  const words = OF_TEACHING[code] ?? { ...(BY_CODE[code] ?? UNKNOWN), kept: TASK_KEPT };
  return { ...words, detail: `${code}: ${message}` };
}

/** Of a model that should go elsewhere, and did not. */
export function switchProblemOf(error: unknown, { choice, from }: { readonly choice: BackendChoice; readonly from: Backend }): Problem {
  const { code, message } = errorFacts(error);
  const words = (choice === 'webgpu' ? OF_THE_GPU[code] : undefined) ?? BY_CODE[code] ?? UNKNOWN;
  return { title: words.title, kept: `The ${backendName(from)} goes on answering. ${TEXT_KEPT}`, todo: words.todo, detail: `${code}: ${message}` };
}

/** Whether a model that cannot be loaded on the GPU may well be loaded on the CPU. */
export function isOfTheGpu(error: unknown): boolean {
  return errorFacts(error).code in OF_THE_GPU;
}

/** True for what a visitor's own Stop or Cancel causes. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

interface ErrorFacts {
  readonly code: string;
  readonly message: string;
  /** Of the server's answer, where there was one. */
  readonly status?: string | number | undefined;
}

export function errorFacts(error: unknown): ErrorFacts {
  if (FrontdeskError.isInstance(error)) return { code: error.code, message: error.message, status: error.details.status };
  return error instanceof Error ? { code: error.name, message: error.message } : { code: 'unknown', message: String(error) };
}
