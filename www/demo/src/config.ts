// What the demo server says about itself: whether there is a back office, and the sizes of the models.

export interface DemoConfig {
  readonly upstream: boolean;
  /** Host name of the back office, for display. */
  readonly upstreamHost?: string;
  /** Answers any question, and writes. */
  readonly model: ModelFacts;
  /** The small one that tasks learn with. */
  readonly reflex: ModelFacts;
}

export interface ModelFacts {
  readonly id: string;
  /** `null` where the server does not have the file. */
  readonly bytes: number | null;
}

export const MODEL_ID = 'smollm2-135m-instruct';
export const REFLEX_ID = 'minilm-l6';
export const MODELS_PATH = '/models/';
export const COMPLETIONS_PATH = '/v1/chat/completions';

/** A page on a plain static host has no `/config.json`; then there is no back office. */
const WITHOUT_SERVER: DemoConfig = { upstream: false, model: { id: MODEL_ID, bytes: null }, reflex: { id: REFLEX_ID, bytes: null } };

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
  const { upstream, model, reflex } = value as Partial<DemoConfig>;
  return typeof upstream === 'boolean' && isModelFacts(model) && isModelFacts(reflex);
}

function isModelFacts(value: unknown): value is ModelFacts {
  return typeof value === 'object' && value !== null && typeof (value as Partial<ModelFacts>).id === 'string';
}

/** The files to load. A server that has only the language model still answers; only teaching is left out. */
export function wantedModels({ model, reflex }: DemoConfig): readonly ModelFacts[] {
  return model.bytes !== null && reflex.bytes === null ? [model] : [reflex, model];
}

/** Of all files together; `null` where one is unknown. */
export function bytesOf(files: readonly ModelFacts[]): number | null {
  return files.reduce<number | null>((sum, { bytes }) => (sum === null || bytes === null ? null : sum + bytes), 0);
}
