/** Times a short answer of a model, to compare where it was loaded (worker only). */
import { LinkedAbort } from './abort.js';
import type { Model } from './engine_module.js';
import { type OnCrash, runJob } from './job_queue.js';
import type { ChatRequest } from './protocol.js';
import type { Speed } from './verdicts.js';

export interface TimingOptions {
  readonly signal: AbortSignal;
  readonly onCrash: OnCrash;
  /** Milliseconds after which three tokens are enough. */
  readonly enoughMs?: number;
}

/** Tokens of an answer that is timed. */
const TOKENS = 8;
const FEWEST_TOKENS = 3;
const WARM_UP_MS = 3000;

/**
 * Times a greedy answer of 8 tokens to a prompt of about 40, after another one of the same length whose time does not
 * count: pipelines and machine code are made then. Rejects with `signal.reason` between two tokens.
 */
export async function timeModel(model: Model, options: TimingOptions): Promise<Speed> {
  await answer(model, 'Hello', { ...options, enoughMs: WARM_UP_MS });
  return answer(model, 'Please', options);
}

/** Prompts that begin with different words share nothing in the KV cache. */
async function answer(model: Model, word: string, { signal, onCrash, enoughMs = Infinity }: TimingOptions): Promise<Speed> {
  const request: ChatRequest = {
    messages: [{ role: 'user', content: `${word}, tell me in a few sentences how the seasons of a year differ from each other, and why.` }],
    maxTokens: TOKENS,
    temperature: 0,
    stop: [],
    policy: { mode: 'only_on_device', threshold: 0 },
  };
  const abort = new LinkedAbort(signal);
  const startedAt = performance.now();
  const times: number[] = [];
  let isEnough = false;
  try {
    await runJob(model.chat(request), {
      signal: abort.signal,
      onCrash,
      onEvent: (event) => {
        if (event.type !== 'delta') return;
        times.push(performance.now());
        isEnough = times.length >= FEWEST_TOKENS && performance.now() - startedAt > enoughMs;
        if (isEnough) abort.abort();
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    if (!isEnough) throw error;
  } finally {
    abort.unlink();
  }
  // A model may have nothing to say: then its prompt is all there is to time.
  const [first = performance.now(), last = first] = [times[0], times.at(-1)];
  const promptMs = first - startedAt;
  return { promptMs, tokenMs: times.length > 1 ? (last - first) / (times.length - 1) : promptMs };
}
