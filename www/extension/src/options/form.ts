// The options page's form: what it holds while it is written in, and what is wrong with it.
import type { Label, Mode } from 'frontdesk';
import { addressProblem, cleanAddress } from '../shared/address.js';
import { LIMITS, needsBackOffice, type OwnModel, type Settings } from '../shared/settings.js';

export interface Row {
  readonly name: string;
  readonly description: string;
}

export interface Form {
  readonly mode: Mode;
  readonly url: string;
  readonly officeModel: string;
  readonly threshold: number;
  readonly labels: readonly Row[];
  readonly queues: readonly Row[];
  readonly ownModel: OwnModel | null;
}

export type FieldName = 'mode' | 'url' | 'officeModel' | 'labels' | 'queues';

/** By field, in the order of the page. */
export type FormProblems = Partial<Readonly<Record<FieldName, string>>>;

export function formOf({ mode, office, threshold, labels, queues, ownModel }: Settings): Form {
  return { mode, url: office?.url ?? '', officeModel: office?.model ?? '', threshold, labels: labels.map(rowOf), queues: queues.map(rowOf), ownModel };
}

export function checkForm(form: Form): { readonly settings: Settings } | { readonly problems: FormProblems } {
  const url = form.url.trim();
  const model = form.officeModel.trim();
  const problems: Record<string, string | undefined> = {
    mode: url === '' && needsBackOffice(form.mode) ? 'This mode needs a back office: give its address, or choose another mode.' : undefined,
    url: url === '' ? undefined : addressProblem(url),
    officeModel: url !== '' && model === '' ? 'The back office needs the name of a model.' : undefined,
    labels: rowsProblem(form.labels, 'labels'),
    queues: rowsProblem(form.queues, 'queues'),
  };
  const found = Object.fromEntries(Object.entries(problems).filter(([, words]) => words !== undefined)) as FormProblems;
  if (Object.keys(found).length > 0) return { problems: found };
  const office = url === '' ? null : { url: cleanAddress(url) ?? url, model };
  return { settings: { mode: form.mode, office, threshold: form.threshold, labels: choicesOf(form.labels), queues: choicesOf(form.queues), ownModel: form.ownModel } };
}

function rowsProblem(rows: readonly Row[], what: 'labels' | 'queues'): string | undefined {
  const names = rows.map(({ name }) => name.trim()).filter((name) => name !== '');
  if (rows.some(({ name, description }) => name.trim() === '' && description.trim() !== '')) return `One of the ${what} has a description and no name.`;
  if (names.length < 2) return `At least two ${what} are needed.`;
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) return `“${twice}” is there twice.`;
  return names.length > LIMITS.choices ? `At most ${LIMITS.choices} ${what} are possible.` : undefined;
}

/** Empty rows are left out. */
function choicesOf(rows: readonly Row[]): readonly Label[] {
  return rows.map(({ name, description }) => ({ name: name.trim(), description: description.trim() })).filter(({ name }) => name !== '').map(({ name, description }) => (description === '' ? { name } : { name, description }));
}

function rowOf({ name, description = '' }: Label): Row {
  return { name, description };
}
