// What the demo server says about itself: whether there is a back office, and the model's size.

export interface DemoConfig {
  readonly upstream: boolean;
  /** Host name of the back office, for display. */
  readonly upstreamHost?: string;
  readonly model: {
    readonly id: string;
    /** `null` where the server does not have the file. */
    readonly bytes: number | null;
  };
}

export const MODEL_ID = 'smollm2-135m-instruct';
export const MODELS_PATH = '/models/';
export const COMPLETIONS_PATH = '/v1/chat/completions';

/** A page on a plain static host has no `/config.json`; then there is no back office. */
const WITHOUT_SERVER: DemoConfig = { upstream: false, model: { id: MODEL_ID, bytes: null } };

export async function readConfig(): Promise<DemoConfig> {
  try {
    const response = await fetch('/config.json');
    const value: unknown = response.ok ? await response.json() : undefined;
    return isConfig(value) ? value : WITHOUT_SERVER;
  } catch {
    return WITHOUT_SERVER;
  }
}

function isConfig(value: unknown): value is DemoConfig {
  if (typeof value !== 'object' || value === null) return false;
  const { upstream, model } = value as Partial<DemoConfig>;
  return typeof upstream === 'boolean' && typeof model === 'object' && model !== null && typeof model.id === 'string';
}
