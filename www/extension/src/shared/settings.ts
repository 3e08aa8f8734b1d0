// What the options page sets: its shape, its limits, and what stands in for stored values that cannot be used.
import type { Label, Mode } from 'frontdesk';
import * as v from 'valibot';
import { MODES } from '../../../ui/modes.js';
import { addressProblem, cleanAddress } from './address.js';
import { FIXED_ADDRESS } from './build_facts.js';

export interface BackOffice {
  readonly url: string;
  /** The `model` field of requests. */
  readonly model: string;
}

export interface OwnModel {
  readonly sha256: string;
  readonly name: string;
}

export interface Settings {
  readonly mode: Mode;
  readonly office: BackOffice | null;
  readonly labels: readonly Label[];
  readonly queues: readonly Label[];
  /** 0 to 1. */
  readonly threshold: number;
  /** A file that was imported; null for the bundled model. */
  readonly ownModel: OwnModel | null;
}

export const LIMITS = { choices: 30, name: 40, description: 200, officeModel: 100, modelName: 200 } as const;

export const DEFAULTS: Settings = {
  mode: 'only_on_device',
  office: FIXED_ADDRESS === undefined ? null : { url: FIXED_ADDRESS, model: 'default' },
  labels: ['billing', 'delivery', 'technical', 'other'].map((name) => ({ name })),
  queues: [
    { name: 'Billing', description: 'invoices, payments, refunds' },
    { name: 'Shipping', description: 'parcels, delivery, returns' },
    { name: 'Technical support', description: 'something does not work, errors, login' },
  ],
  threshold: 0.6,
  ownModel: null,
};

const NAME = v.pipe(v.string(), v.trim(), v.nonEmpty(), v.maxLength(LIMITS.name));
const CHOICE: v.GenericSchema<unknown, Label> = v.pipe(
  v.object({ name: NAME, description: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(LIMITS.description))) }),
  v.transform(({ name, description = '' }) => (description === '' ? { name } : { name, description })),
);
const CHOICES = v.pipe(
  v.array(CHOICE),
  v.minLength(2),
  v.maxLength(LIMITS.choices),
  v.check((choices) => new Set(choices.map(({ name }) => name)).size === choices.length, 'two have the same name'),
);
const ADDRESS = v.pipe(v.string(), v.check((address) => addressProblem(address) === undefined, 'the address cannot be used'), v.transform((address) => cleanAddress(address) ?? ''));

const FIELDS = {
  mode: v.picklist(MODES.map(({ mode }) => mode)),
  office: v.nullable(v.object({ url: ADDRESS, model: v.pipe(v.string(), v.trim(), v.nonEmpty(), v.maxLength(LIMITS.officeModel)) })),
  labels: CHOICES,
  queues: CHOICES,
  threshold: v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(1)),
  ownModel: v.nullable(v.object({ sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)), name: v.pipe(v.string(), v.maxLength(LIMITS.modelName)) })),
};

/** Exactly these fields, and no mode without the back office that it needs. */
export const SETTINGS: v.GenericSchema<unknown, Settings> = v.pipe(
  v.strictObject(FIELDS),
  v.check(({ mode, office }) => office !== null || !needsBackOffice(mode), 'this mode needs a back office'),
  v.check(({ office }) => FIXED_ADDRESS === undefined || office?.url === FIXED_ADDRESS, 'the back office of this build is fixed'),
);

/** From whatever is stored: each field that cannot be used is the default's, and a mode never becomes looser by that. */
export function safeSettings(stored: unknown): Settings {
  const given: Readonly<Record<string, unknown>> = typeof stored === 'object' && stored !== null ? { ...stored } : {};
  const field = <Name extends keyof Settings>(name: Name): Settings[Name] => {
    const schema: v.GenericSchema<unknown, unknown> = FIELDS[name];
    const parsed = v.safeParse(schema, given[name]);
    return parsed.success ? (parsed.output as Settings[Name]) : DEFAULTS[name];
  };
  const office = officeOf(field('office'));
  const mode = field('mode');
  return {
    mode: office === null && needsBackOffice(mode) ? DEFAULTS.mode : mode,
    office,
    labels: field('labels'),
    queues: field('queues'),
    threshold: field('threshold'),
    ownModel: field('ownModel'),
  };
}

export function needsBackOffice(mode: Mode): boolean {
  return MODES.find((words) => words.mode === mode)?.needsBackOffice ?? true;
}

/** The only address that the engine's page may reach under these settings. */
export function allowedAddress({ mode, office }: Settings): string | undefined {
  return mode === 'only_on_device' ? undefined : office?.url;
}

function officeOf(office: BackOffice | null): BackOffice | null {
  return FIXED_ADDRESS === undefined ? office : { url: FIXED_ADDRESS, model: office?.model ?? 'default' };
}
