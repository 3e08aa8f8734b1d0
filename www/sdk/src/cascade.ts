/** The five modes: who is asked, in which order, and what the caller gets when one of them fails. */
import { InvalidInputError } from './errors.js';
import type { ChatDelta, Decision, LocalCompletion, Mode } from './protocol.js';
import type { CloudCompletion, CloudDelta } from './providers/provider.js';
import type { Reason } from './results.js';
import type { Run } from './run.js';
import { streamOf } from './stream.js';

/** Who answered and why; the other side's answer is kept where there was one. */
export type Outcome<Local, Cloud> =
  | { readonly source: 'device'; readonly reason: Reason; readonly local: Local }
  | { readonly source: 'cloud'; readonly reason: Reason; readonly cloud: Cloud; readonly local?: Local };

/** The two sides of a request; a side that is not there cannot be asked. */
export interface Sides<Local, Cloud> {
  readonly device?: (() => Promise<Local>) | undefined;
  readonly cloud?: (() => Promise<Cloud>) | undefined;
}

/** Asks for a whole answer. */
export async function askWhole<Local extends { readonly decision: Decision }, Cloud>(
  mode: Mode,
  run: Run,
  sides: Sides<Local, Cloud>,
): Promise<Outcome<Local, Cloud>> {
  const device = () => run.onDevice(present(sides.device, 'no model is loaded: this desk was made with only_in_cloud'));
  const cloud = () => run.inCloud(present(sides.cloud, `mode ${mode} needs a cloud`));
  switch (mode) {
    case 'only_on_device': {
      const local = await device();
      return { source: 'device', reason: local.decision.reason, local };
    }
    case 'only_in_cloud':
      return { source: 'cloud', reason: 'cloud_only', cloud: await cloud() };
    case 'prefer_in_cloud':
      try {
        return { source: 'cloud', reason: 'cloud_preferred', cloud: await cloud() };
      } catch (error) {
        return await deviceInstead(run, device, error);
      }
    case 'prefer_on_device':
    case 'cascade':
      return deviceFirst(run, device, sides.cloud && cloud);
  }
}

async function deviceFirst<Local extends { readonly decision: Decision }, Cloud>(
  run: Run,
  device: () => Promise<Local>,
  cloud: (() => Promise<Cloud>) | undefined,
): Promise<Outcome<Local, Cloud>> {
  let local: Local;
  try {
    local = await device();
  } catch (error) {
    run.noteDeviceFailure(error);
    if (!cloud) throw error;
    return { source: 'cloud', reason: 'local_failed', cloud: await cloudInstead(run, cloud) };
  }
  if (local.decision.action === 'answer') return { source: 'device', reason: local.decision.reason, local };
  if (!cloud) return { source: 'device', reason: 'would_escalate', local };
  try {
    const reason = local.decision.reason === 'out_of_scope' ? 'out_of_scope' : 'low_confidence';
    return { source: 'cloud', reason, cloud: await cloud(), local };
  } catch (error) {
    run.signal?.throwIfAborted();
    if (!run.cloudError) throw error;
    return { source: 'device', reason: run.cloudLost, local };
  }
}

async function deviceInstead<Local>(run: Run, device: () => Promise<Local>, cloudError: unknown): Promise<Outcome<Local, never>> {
  run.signal?.throwIfAborted();
  if (!run.cloudError) throw cloudError;
  try {
    return { source: 'device', reason: run.cloudLost, local: await device() };
  } catch (error) {
    run.noteDeviceFailure(error);
    throw run.noAnswer();
  }
}

async function cloudInstead<Cloud>(run: Run, cloud: () => Promise<Cloud>): Promise<Cloud> {
  try {
    return await cloud();
  } catch (error) {
    run.signal?.throwIfAborted();
    throw run.cloudError ? run.noAnswer() : error;
  }
}

/** The two sides of a streamed chat; each tells its pieces and resolves to the whole. */
export interface StreamingSides {
  readonly device?: ((push: (delta: ChatDelta) => void, signal: AbortSignal) => Promise<LocalCompletion>) | undefined;
  readonly cloud?: ((push: (delta: CloudDelta) => void, signal: AbortSignal) => Promise<CloudCompletion>) | undefined;
}

/** Tokens that a cascade holds back before it decides between device and cloud. */
export const HELD_TOKENS = 8;

type Pieces = AsyncGenerator<CloudDelta, Outcome<LocalCompletion, CloudCompletion>>;

/**
 * Asks for a stream. In `cascade` the device's first 8 tokens are held back: where their running
 * confidence is below the threshold the device is stopped and the cloud streams, else the device's
 * stream is committed to, and its reason says how sure the whole was. What was delivered cannot be taken back: a side that fails after its first
 * piece ends the stream with its error, a side that fails before is replaced by the other.
 */
export async function* askStreaming(policy: { readonly mode: Mode; readonly threshold: number }, run: Run, sides: StreamingSides): Pieces {
  const { mode, threshold } = policy;
  switch (mode) {
    case 'only_on_device':
      return yield* deviceStream(run, sides);
    case 'only_in_cloud':
      return yield* cloudStream(run, sides, 'cloud_only');
    case 'prefer_in_cloud':
      return yield* replaceable(run, cloudStream(run, sides, 'cloud_preferred'), (error) => {
        if (!run.cloudError) throw error;
        return deviceAfterCloud(run, sides);
      });
    case 'prefer_on_device':
      return yield* replaceable(run, deviceStream(run, sides), (error) => cloudAfterDevice(run, sides, error));
    case 'cascade':
      return yield* replaceable(run, cascadeStream(run, sides, threshold), (error) => cloudAfterDevice(run, sides, error));
  }
}

/** The device's stream, every piece at once; `reason` where the decision is not the device's own. */
async function* deviceStream(run: Run, sides: StreamingSides, reason?: Reason): Pieces {
  const device = present(sides.device, 'no model is loaded: this desk was made with only_in_cloud');
  const local = yield* streamOf(run.signal, (push, signal) => run.onDevice(() => device(push, signal)));
  return { source: 'device', reason: reason ?? local.decision.reason, local };
}

async function* cloudStream(run: Run, sides: StreamingSides, reason: Reason, local?: LocalCompletion): Pieces {
  const ask = present(sides.cloud, 'this mode needs a cloud');
  const cloud = yield* streamOf<CloudDelta, CloudCompletion>(run.signal, (push, signal) => run.inCloud(() => ask(push, signal)));
  return { source: 'cloud', reason, cloud, ...(local && { local }) };
}

async function* cascadeStream(run: Run, sides: StreamingSides, threshold: number): Pieces {
  const device = present(sides.device, 'no model is loaded: this desk was made with only_in_cloud');
  const stream = streamOf<ChatDelta, LocalCompletion>(run.signal, (push, signal) => run.onDevice(() => device(push, signal)));
  const held: ChatDelta[] = [];
  try {
    for (;;) {
      const next = await stream.next();
      if (next.done) {
        // Short enough to be judged as a whole.
        const local = next.value;
        if (local.decision.action === 'escalate' && sides.cloud) return yield* cloudBefore(run, sides, { held, local });
        yield* held;
        return { source: 'device', reason: local.decision.action === 'answer' ? local.decision.reason : 'would_escalate', local };
      }
      held.push(next.value);
      if (next.value.tokens < HELD_TOKENS) continue;
      const sure = next.value.confidence >= threshold;
      if (!sure && sides.cloud) break;
      yield* held;
      const local = yield* stream;
      return { source: 'device', reason: committedReason(local.decision, sure), local };
    }
  } finally {
    // Stops the device where it has not finished.
    await stream.return(undefined as never);
  }
  return yield* cloudBefore(run, sides, { held: [] });
}

/** The cloud's stream; where it fails before its first piece, the device's answer after all. */
function cloudBefore(run: Run, sides: StreamingSides, { held, local }: { held: readonly ChatDelta[]; local?: LocalCompletion }): Pieces {
  return replaceable(run, cloudStream(run, sides, 'low_confidence', local), (error) => {
    if (!run.cloudError) throw error;
    // A stopped answer is computed once more; its prompt is still in the KV cache.
    return deviceAfterCloud(run, local ? { device: replay(held, local) } : sides);
  });
}

/** The whole's decision, or what became of it where the text was out already. */
function committedReason(whole: Decision, sureAtFirst: boolean): Reason {
  if (whole.action === 'answer') return whole.reason;
  return sureAtFirst ? 'committed' : 'would_escalate';
}

async function* deviceAfterCloud(run: Run, sides: StreamingSides): Pieces {
  try {
    return yield* deviceStream(run, sides, run.cloudLost);
  } catch (error) {
    run.noteDeviceFailure(error);
    throw run.noAnswer();
  }
}

async function* cloudAfterDevice(run: Run, sides: StreamingSides, error: unknown): Pieces {
  // An escalation that failed is not the device's failure.
  if (run.cloudError) throw error;
  run.noteDeviceFailure(error);
  if (!sides.cloud) throw error;
  try {
    return yield* cloudStream(run, sides, 'local_failed');
  } catch (cloudError) {
    run.signal?.throwIfAborted();
    throw run.cloudError ? run.noAnswer() : cloudError;
  }
}

/** Streams `first`; where it fails before its first piece, streams what `instead` gives. */
async function* replaceable(run: Run, first: Pieces, instead: (error: unknown) => Pieces): Pieces {
  let delivered = false;
  try {
    for (;;) {
      const next = await first.next();
      if (next.done) return next.value;
      delivered = true;
      yield next.value;
    }
  } catch (error) {
    run.signal?.throwIfAborted();
    if (delivered) throw error;
    return yield* instead(error);
  } finally {
    await first.return(undefined as never);
  }
}

/** A device that says again what it said. */
function replay(held: readonly ChatDelta[], local: LocalCompletion): StreamingSides['device'] {
  return (push) => {
    held.forEach(push);
    return Promise.resolve(local);
  };
}

function present<T>(side: T | undefined, message: string): T {
  if (side === undefined) throw new InvalidInputError(message);
  return side;
}
