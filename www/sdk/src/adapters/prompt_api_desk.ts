/** The desk behind sessions of the Prompt API: made for them and ended with the last one, or lent by the caller. */
import { type CreateOptions, Frontdesk, type ModelChoice } from '../index.js';

/** A desk that is there already, or how to make one. */
export type DeskChoice = Frontdesk | (Omit<CreateOptions, 'signal' | 'monitor' | 'model'> & { readonly model?: ModelChoice });

/** Is told how much of the model has been fetched: `loaded` goes from 0 to 1, and `total` is 1. */
export class CreateMonitor extends EventTarget {
  /** A listener as an attribute. */
  ondownloadprogress: ((event: ProgressEvent) => unknown) | null = null;

  /** Listens for progress. */
  override addEventListener(type: 'downloadprogress', listener: (event: ProgressEvent) => unknown, options?: boolean | AddEventListenerOptions): void;
  /** Listens for other events, of which there are none. */
  override addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  override addEventListener(type: string, listener: unknown, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener as EventListenerOrEventListenerObject | null, options);
  }
}

export interface OpenOptions {
  readonly signal?: AbortSignal | undefined;
  /** Is given what tells the progress of the download. */
  readonly monitor?: ((monitor: CreateMonitor) => void) | undefined;
}

export class SharedDesk {
  readonly desk: Frontdesk;
  readonly #isOwned: boolean;
  #users = 0;

  private constructor(desk: Frontdesk, { isOwned }: { isOwned: boolean }) {
    this.desk = desk;
    this.#isOwned = isOwned;
  }

  /** Makes the desk, unless it was given. */
  static async open(choice: DeskChoice, { signal, monitor }: OpenOptions): Promise<SharedDesk> {
    const tell = progressTeller(monitor);
    signal?.throwIfAborted();
    tell(0);
    const isOwned = !isDesk(choice);
    const desk = isOwned ? await Frontdesk.create({ ...choice, ...(signal && { signal }), monitor: (target) => forward(target, tell) }) : choice;
    tell(1);
    return new SharedDesk(desk, { isOwned });
  }

  /** One session more. */
  enter(): void {
    this.#users += 1;
  }

  /** One session less; the last one takes the desk with it, if it was made here. */
  leave(): void {
    this.#users -= 1;
    if (this.#users === 0 && this.#isOwned) void this.desk.destroy();
  }
}

/** Also for a desk of another copy of this package. */
export function isDesk(choice: DeskChoice): choice is Frontdesk {
  return 'destroy' in choice;
}

/** Tells each share once, and none after a larger one. */
function progressTeller(onMonitor: OpenOptions['monitor']): (loaded: number) => void {
  if (!onMonitor) return () => undefined;
  const monitor = new CreateMonitor();
  onMonitor(monitor);
  let told = -1;
  return (loaded) => {
    if (loaded <= told) return;
    told = loaded;
    const event = new ProgressEvent('downloadprogress', { lengthComputable: true, loaded, total: 1 });
    monitor.dispatchEvent(event);
    monitor.ondownloadprogress?.(event);
  };
}

function forward(target: EventTarget, tell: (loaded: number) => void): void {
  target.addEventListener('downloadprogress', (event) => {
    const { loaded, total } = event as ProgressEvent;
    if (total > 0) tell(loaded / total);
  });
}
