// One handler a verb: what the engine's page does when a page of ours asks.
import { reasonToSend } from '../../../ui/provenance.js';
import { modeName } from '../../../ui/modes.js';
import type { Classification, CompletionProvenance, Label } from 'frontdesk';
import type { Answered, EngineState, Progress, Protocol, Status, Summarised, TextRequest, Verb } from '../shared/protocol.js';
import { allowedAddress, type Settings } from '../shared/settings.js';
import { DeskKeeper, type Under } from './desk_keeper.js';
import { addressOfPage } from './page_address.js';
import { NO_ANSWER, Receipts, type Sending } from './receipts.js';
import { CodedError } from './wire_error.js';

export interface Call<V extends Verb> {
  readonly request: Protocol[V]['request'];
  readonly signal: AbortSignal;
  readonly emit: (event: Protocol[V]['event']) => void;
}

export type Handlers = { readonly [V in Verb]: (call: Call<V>) => Protocol[V]['response'] | Promise<Protocol[V]['response']> };

/** Classify and route differ in what is chosen from. */
interface Choosing {
  readonly request: TextRequest;
  readonly emit: (event: Progress) => void;
}

const MOST_SUMMARY_TOKENS = 80;
/** After the text: a model this small keeps to what it has read last. */
const SUMMARISE = 'Summarise the text above in one short sentence.';

const watchers = new Set<(status: Status) => void>();
const tell = (status: Status): void => watchers.forEach((watcher) => watcher(status));
const receipts = new Receipts((changed) => tell({ receipts: changed }));
const keeper = new DeskKeeper((engine: EngineState) => tell({ engine }));

export const handlers: Handlers = {
  configure: ({ request }) => {
    if (allowedAddress(request) !== addressOfPage()) throw new CodedError('other_address', 'this page may reach another address than these settings name');
    keeper.configure(request);
    return null;
  },
  watch: async ({ signal, emit }) => {
    emit({ engine: keeper.state });
    emit({ receipts: receipts.all });
    watchers.add(emit);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    watchers.delete(emit);
    return null;
  },
  restart: () => {
    keeper.restart();
    return null;
  },
  classify: (call) => keeper.run(call.signal, (under) => choose('classify', (settings) => settings.labels, call, under)),
  route: (call) => keeper.run(call.signal, (under) => choose('route', (settings) => settings.queues, call, under)),
  summarise: (call) => keeper.run(call.signal, (under) => summarise(call, under)),
  retire: async () => {
    await keeper.retire();
    return receipts.all;
  },
  adopt: ({ request }) => {
    receipts.adopt(request);
    return null;
  },
};

async function choose(job: 'classify' | 'route', labelsOf: (settings: Settings) => readonly Label[], { request, emit }: Choosing, { desk, settings, ranOn, signal }: Under): Promise<Answered> {
  const { mode, threshold } = settings;
  const { text } = request;
  const labels = labelsOf(settings);
  const sending = receipts.begin(job);
  const onProgress = ({ done, total }: Progress): void => emit({ done, total });
  const result = await explained(sending, { settings, signal }, () => desk.classify(text, { labels, mode, threshold, subject: 'text', signal, onSend: sending.onSend, onProgress }));
  return { question: { text, labels: labels.map(({ name }) => name), mode, threshold }, result, ranOn };
}

async function summarise({ request, emit }: Call<'summarise'>, { desk, settings, signal }: Under): Promise<Summarised> {
  const { mode, threshold } = settings;
  const sending = receipts.begin('summarise');
  let text = '';
  const provenance = await explained(sending, { settings, signal }, async () => {
    const chunks = await desk.chat.completions.create(
      {
        messages: [{ role: 'user', content: `${request.text}\n\n${SUMMARISE}` }],
        max_tokens: MOST_SUMMARY_TOKENS,
        temperature: 0,
        // Without it a model this small soon says the same sentence again and again.
        repetition_penalty: 1.1,
        stream: true,
      },
      { mode, threshold, signal, onSend: sending.onSend },
    );
    let about: CompletionProvenance | undefined;
    for await (const chunk of chunks) {
      about = chunk.frontdesk ?? about;
      const piece = chunk.choices[0].delta.content ?? '';
      text += piece;
      if (piece !== '') emit({ piece });
    }
    return about;
  });
  return { text, threshold, provenance: provenance ?? null };
}

/** Runs a call, and writes into its receipt why a request left and what came of it. */
async function explained<T extends Classification | CompletionProvenance | undefined>(sending: Sending, { settings, signal }: Pick<Under, 'settings' | 'signal'>, run: () => Promise<T>): Promise<T> {
  const { mode, threshold } = settings;
  try {
    const result = await run();
    if (result !== undefined) {
      const why = reasonToSend(result, { mode, threshold });
      sending.explain({ why, outcome: result.cloudError === undefined ? 'Answered.' : `Failed: ${result.cloudError.message}.` });
    }
    return result;
  } catch (error) {
    const outcome = signal.aborted ? 'Stopped before the answer was there.' : NO_ANSWER;
    sending.explain({ why: `Mode “${modeName(mode)}”.`, outcome });
    throw error;
  }
}
