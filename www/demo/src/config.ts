// What the host says of itself: whether there is a back office and where, and the sizes of the models.

export interface DemoConfig {
  readonly upstream: boolean;
  /** Host name of the back office, for display. */
  readonly upstreamHost?: string;
  /** Address of the back office, where that is not this host. */
  readonly upstreamUrl?: string;
  /** Answers any question, and writes. */
  readonly model: ModelFacts;
  /** The small one that tasks learn with. */
  readonly reflex: ModelFacts;
  /** The host has settings, but they cannot be read: these are what the page does without. */
  readonly isUnreadable?: boolean;
}

export interface ModelFacts {
  readonly id: string;
  /** `null` where the host does not have the file, or nothing is known. */
  readonly bytes: number | null;
}

export const MODEL_ID = 'smollm2-135m-instruct';
export const REFLEX_ID = 'minilm-l6';
/** Relative to the page, which may lie below any path. */
export const MODELS_PATH = './models/';
export const COMPLETIONS_PATH = './v1/chat/completions';

/** A page on a plain static host may have no settings; then there is no back office. */
const WITHOUT_SERVER: DemoConfig = { upstream: false, model: { id: MODEL_ID, bytes: null }, reflex: { id: REFLEX_ID, bytes: null } };
const UNREADABLE: DemoConfig = { ...WITHOUT_SERVER, isUnreadable: true };

export async function readConfig(): Promise<DemoConfig> {
  try {
    const response = await fetch('./config.json');
    if (response.status === 404) return WITHOUT_SERVER;
    const value: unknown = response.ok ? await response.json() : undefined;
    return isConfig(value) ? value : UNREADABLE;
  } catch (error) {
    return error instanceof SyntaxError ? UNREADABLE : WITHOUT_SERVER;
  }
}

/** Where questions to the back office go. */
export function completionsUrl({ upstreamUrl }: DemoConfig): string {
  return new URL(upstreamUrl ?? COMPLETIONS_PATH, document.baseURI).href;
}

function isConfig(value: unknown): value is DemoConfig {
  if (typeof value !== 'object' || value === null) return false;
  const { upstream, upstreamHost, upstreamUrl, model, reflex } = value as Partial<Record<keyof DemoConfig, unknown>>;
  const hasAddress = upstreamUrl === undefined || (typeof upstreamUrl === 'string' && URL.canParse(upstreamUrl) && /^https?:/.test(upstreamUrl));
  const hasHost = upstreamHost === undefined || typeof upstreamHost === 'string';
  return typeof upstream === 'boolean' && hasAddress && hasHost && isFactsOf(model, MODEL_ID) && isFactsOf(reflex, REFLEX_ID);
}

function isFactsOf(value: unknown, id: string): value is ModelFacts {
  if (typeof value !== 'object' || value === null) return false;
  const facts = value as Partial<Record<keyof ModelFacts, unknown>>;
  return facts.id === id && (facts.bytes === null || (Number.isSafeInteger(facts.bytes) && Number(facts.bytes) > 0));
}
