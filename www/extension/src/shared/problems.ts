// Errors in words, where the extension has something else to say than a web page.
import { problemOf, type Problem } from '../../../ui/problems.js';
import { MOST_CHARACTERS } from './jobs.js';
import { count } from '../../../ui/format.js';

type Words = Pick<Problem, 'title' | 'todo'> & Partial<Pick<Problem, 'kept'>>;

const INSTALL_AGAIN = 'Try again. If it stays, install the extension again.';
const OPTIONS = 'Choose another model file in the options.';

/** The general words add that the text is kept. */
const CHANGED: Words = { title: 'The options changed meanwhile.', todo: 'Run again.' };

const BY_CODE: Readonly<Record<string, Words>> = {
  download_failed: { title: 'The model’s file could not be read.', kept: 'Nothing was sent.', todo: `${INSTALL_AGAIN} A file of your own: import it again in the options.` },
  length_mismatch: { title: 'The model’s file has the wrong length.', todo: INSTALL_AGAIN },
  hash_mismatch: { title: 'The model’s file is not the one expected.', todo: INSTALL_AGAIN },
  invalid_model: { title: 'The model’s file is damaged.', todo: OPTIONS },
  unsupported_model: { title: 'This kind of model file is not supported.', todo: OPTIONS },
  module_load_failed: { title: 'The engine’s own files could not be loaded.', todo: INSTALL_AGAIN },
  unsupported_browser: { title: 'This browser cannot run the model.', todo: 'Use a current Chrome, Edge or another browser that is built on Chromium.' },
  options_changed: CHANGED,
  destroyed: CHANGED,
  TimeoutError: { title: 'The engine does not answer.', todo: 'Start it again.' },
  worker_died: { title: 'The engine stopped.', todo: 'Run again: a fresh one starts by itself.' },
  invalid_input: { title: 'This cannot be run as it is.', todo: 'Check the text, and the labels and queues in the options.' },
  invalid_message: { title: 'The panel and the engine do not understand each other.', todo: 'Close the panel and open it again.' },
};

export function panelProblem(error: unknown): Problem {
  const general = problemOf(error);
  const code = error instanceof Error ? error.name : '';
  return { ...general, ...BY_CODE[code] };
}

export function tooLongProblem(characters: number): Problem {
  return {
    title: 'The selection is too long.',
    kept: 'Nothing was run, and nothing was sent.',
    todo: `Select at most ${count(MOST_CHARACTERS)} characters.`,
    detail: `${count(characters)} characters were selected.`,
  };
}
