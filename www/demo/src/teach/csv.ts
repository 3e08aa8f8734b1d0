// Reads a pasted or uploaded table: which columns, which rows are good to learn from, and what is wrong with the others.
import Papa from 'papaparse';
import type { Example } from 'frontdesk';

export interface Table {
  /** Names of the columns; numbered where the first row is none. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly hasHeader: boolean;
  /** Lines that the parser stumbled over, in its words. */
  readonly faults: readonly string[];
}

export interface Columns {
  readonly text: number;
  readonly label: number;
}

export interface Problems {
  readonly empty: number;
  readonly duplicates: number;
  /** Texts that occur with several labels; none of them is used. */
  readonly contradictory: number;
  /** Labels with fewer rows than `FEW`. */
  readonly scarce: readonly string[];
}

export interface Rows {
  readonly examples: readonly Example[];
  readonly labels: readonly { readonly name: string; readonly rows: number }[];
  readonly problems: Problems;
  /** Why nothing can be learnt from these rows. */
  readonly obstacle?: string;
}

export const FEW = 8;
const MIN_ROWS = 16;
const MAX_ROWS = 20_000;
const MAX_LABELS = 200;
const MAX_LABEL_LENGTH = 200;
const MAX_FAULTS = 3;
const TEXT_NAMES = /^(text|message|ticket|body|utterance|sentence|content|query|question|description)$/i;
const LABEL_NAMES = /^(label|category|class|intent|topic|queue|tag|department)$/i;

/** `hasHeader` left out: found by the names in the first row. */
export function readTable(csv: string, hasHeader?: boolean): Table {
  const { data, errors } = Papa.parse<string[]>(csv.replace(/^\uFEFF/, ''), { skipEmptyLines: 'greedy' });
  const width = Math.max(0, ...data.slice(0, 100).map((row) => row.length));
  const first = data[0] ?? [];
  const header = hasHeader ?? first.some((name) => TEXT_NAMES.test(name.trim()) || LABEL_NAMES.test(name.trim()));
  const nameOf = (index: number): string => {
    const name = header ? (first[index]?.trim() ?? '') : '';
    return name === '' ? `Column ${index + 1}` : name;
  };
  return {
    columns: Array.from({ length: width }, (_, index) => nameOf(index)),
    rows: header ? data.slice(1) : data,
    hasHeader: header,
    // One column is said in better words by `readRows`.
    faults: errors.filter(({ type }) => type !== 'Delimiter').slice(0, MAX_FAULTS).map(({ row, message }) => (row === undefined ? message : `Row ${row + 1}: ${message}`)),
  };
}

/** By their names; else the column of the longest texts, and of the others the one with the fewest different values. */
export function guessColumns({ columns, rows }: Table): Columns {
  const sample = rows.slice(0, 500);
  const named = (pattern: RegExp): number => columns.findIndex((name) => pattern.test(name));
  const indices = columns.map((_, index) => index);
  const label = named(LABEL_NAMES);
  const lengthOf = (index: number): number => sample.reduce((sum, row) => sum + (row[index]?.length ?? 0), 0);
  const varietyOf = (index: number): number => new Set(sample.map((row) => row[index])).size;
  const text = named(TEXT_NAMES) >= 0 ? named(TEXT_NAMES) : best(indices.filter((index) => index !== label), (index) => -lengthOf(index));
  return { text, label: label >= 0 && label !== text ? label : best(indices.filter((index) => index !== text), varietyOf) };
}

export function readRows({ rows, columns }: Table, { text, label }: Columns): Rows {
  const labelsOf = new Map<string, string>();
  const contradictory = new Set<string>();
  let empty = 0;
  let duplicates = 0;
  for (const row of rows) {
    const said = row[text]?.trim() ?? '';
    const name = row[label]?.trim() ?? '';
    const before = labelsOf.get(said);
    if (said === '' || name === '') empty += 1;
    else if (before === undefined) labelsOf.set(said, name);
    else if (before === name) duplicates += 1;
    else contradictory.add(said);
  }
  for (const said of contradictory) labelsOf.delete(said);
  const examples = [...labelsOf].map(([said, name]) => ({ text: said, label: name }));
  const counts = new Map<string, number>();
  for (const { label: name } of examples) counts.set(name, (counts.get(name) ?? 0) + 1);
  const labels = [...counts].map(([name, amount]) => ({ name, rows: amount })).sort((a, b) => b.rows - a.rows);
  const scarce = labels.filter(({ rows: amount }) => amount < FEW).map(({ name }) => name);
  const obstacle = obstacleOf({ columns: columns.length, examples, labels });
  return { examples, labels, problems: { empty, duplicates, contradictory: contradictory.size, scarce }, ...(obstacle !== undefined && { obstacle }) };
}

function obstacleOf({ columns, examples, labels }: { columns: number; examples: readonly Example[]; labels: Rows['labels'] }): string | undefined {
  if (columns < 2) return 'There is only one column. It takes two: one with the texts and one with their labels, with a comma, a semicolon or a tab between them.';
  if (examples.length === 0) return 'No row has both a text and a label. Choose other columns, or look at the file.';
  if (labels.length < 2) return `All rows have the label “${labels[0]?.name ?? ''}”. It takes at least two labels to tell apart.`;
  if (labels.some(({ name }) => name.length > MAX_LABEL_LENGTH)) return `Some labels are longer than ${MAX_LABEL_LENGTH} characters. Are text and label the right way round?`;
  if (labels.length > MAX_LABELS || (examples.length >= MIN_ROWS && labels.length > examples.length / 2)) {
    return `There are ${labels.length} labels for ${examples.length} rows. Is that the right column for the label?`;
  }
  if (examples.length < MIN_ROWS) return `There are ${examples.length} usable rows. It takes at least ${MIN_ROWS}, better some hundred.`;
  if (examples.length > MAX_ROWS) return `There are ${examples.length} rows; this page takes up to ${MAX_ROWS}. The SDK takes more.`;
  return undefined;
}

function best(indices: readonly number[], cost: (index: number) => number): number {
  return indices.reduce((least, index) => (cost(index) < cost(least) ? index : least), indices[0] ?? 0);
}
