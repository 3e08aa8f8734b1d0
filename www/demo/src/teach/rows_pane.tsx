// Where rows come from: pasted, dropped, chosen or the sample; their columns, what is wrong with them, and Learn.
import type { JSX, TargetedDragEvent } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { count, percent, roundBytes } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { FEW, guessColumns, readRows, readTable, type Columns, type Rows, type Table } from './csv.js';
import { SAMPLE_ROWS } from '../sample_rows.js';
import { FileButton } from './file_button.js';
import { splitRows } from './split.js';
import type { Teaching } from './use_teaching.js';

const SAMPLE_CSV = ['text,label', ...SAMPLE_ROWS.map(({ text, label }) => `"${text}",${label}`)].join('\n');
/** Longer ones would make the box slow; they are used all the same. */
const MAX_SHOWN_LENGTH = 200_000;
const MAX_FILE_BYTES = 20e6;

interface Source {
  readonly csv: string;
  readonly name?: string;
}

export function RowsPane({ teaching, ready, missing }: { readonly teaching: Teaching; readonly ready: boolean; readonly missing: boolean }): JSX.Element {
  const [source, setSource] = useState<Source>({ csv: '' });
  const [refused, setRefused] = useState<string>();
  const [header, setHeader] = useState<boolean>();
  const [chosen, setChosen] = useState<Columns>();
  const table = useMemo(() => (source.csv.trim() === '' ? undefined : readTable(source.csv, header)), [source, header]);
  const columns = useMemo(() => table && (chosen ?? guessColumns(table)), [table, chosen]);
  const rows = useMemo(() => table && columns && readRows(table, columns), [table, columns]);

  const take = (next: Source): void => {
    setSource(next);
    setRefused(undefined);
    setHeader(undefined);
    setChosen(undefined);
  };
  const takeFile = (file: File): void => {
    if (file.size > MAX_FILE_BYTES) return setRefused(`${file.name} has ${roundBytes(file.size)}; this page takes up to ${roundBytes(MAX_FILE_BYTES)}.`);
    file.text().then(
      (csv) => take({ csv, name: file.name }),
      () => setRefused(`${file.name} could not be read. Choose it again, or paste its rows.`),
    );
  };

  return (
    <section class="pane" aria-labelledby="rows-title">
      <h2 id="rows-title">
        <label for="rows">Rows to learn from</label>
      </h2>
      <RowsBox source={source} onSource={take} onFile={takeFile} />
      {refused !== undefined && (
        <p class="warning" role="alert">
          <Icon name="alert" /> {refused}
        </p>
      )}
      {table && columns && <ColumnChoice table={table} columns={columns} onColumns={setChosen} onHeader={setHeader} />}
      {rows && table && <Summary rows={rows} faults={table.faults} />}
      <LearnRow teaching={teaching} rows={rows} ready={ready} missing={missing} />
    </section>
  );
}

interface BoxProps {
  readonly source: Source;
  readonly onSource: (source: Source) => void;
  readonly onFile: (file: File) => void;
}

function RowsBox({ source: { csv, name }, onSource, onFile }: BoxProps): JSX.Element {
  const isShown = csv.length <= MAX_SHOWN_LENGTH;
  const drop = (event: TargetedDragEvent<HTMLTextAreaElement>): void => {
    const dropped = event.dataTransfer?.files[0];
    if (dropped === undefined) return;
    event.preventDefault();
    onFile(dropped);
  };
  return (
    <>
      <div class="button-row">
        <FileButton words="Choose a CSV file" accept=".csv,.tsv,.txt,text/csv" label="CSV file" onFile={onFile} />
        <button type="button" class="button" onClick={() => onSource({ csv: SAMPLE_CSV, name: 'the sample' })}>
          Use the sample
        </button>
      </div>
      <textarea
        id="rows"
        class="rows-box"
        rows={6}
        spellcheck={false}
        value={isShown ? csv : ''}
        placeholder={isShown ? 'Paste rows here, or drop a file:\ntext,label\n"I was charged twice",billing' : `${name ?? 'The text'} is loaded (${roundBytes(csv.length)}); too long to show.`}
        onInput={(event) => onSource({ csv: event.currentTarget.value })}
        onDrop={drop}
      />
    </>
  );
}

interface ColumnProps {
  readonly table: Table;
  readonly columns: Columns;
  readonly onColumns: (columns: Columns | undefined) => void;
  readonly onHeader: (header: boolean) => void;
}

function ColumnChoice({ table, columns, onColumns, onHeader }: ColumnProps): JSX.Element | null {
  if (table.columns.length < 2) return null;
  const choice = (name: string, part: keyof Columns): JSX.Element => (
    <label class="column-choice">
      <span>{name}</span>
      <select value={columns[part]} onChange={(event) => onColumns({ ...columns, [part]: Number(event.currentTarget.value) })}>
        {table.columns.map((column, index) => (
          <option key={index} value={index}>
            {column}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="columns">
      {choice('Text in', 'text')}
      {choice('Label in', 'label')}
      <label class="check">
        <input type="checkbox" checked={table.hasHeader} onChange={(event) => onHeader(event.currentTarget.checked)} />
        First row names the columns
      </label>
    </div>
  );
}

function Summary({ rows, faults }: { readonly rows: Rows; readonly faults: readonly string[] }): JSX.Element {
  const { examples, labels, obstacle } = rows;
  const notes = [...notesOf(rows), ...faults];
  return (
    <div class="summary" data-testid="summary">
      {obstacle === undefined ? (
        <p>
          <strong>
            {count(examples.length)} rows, {count(labels.length)} labels
          </strong>
          : {labels.slice(0, 8).map(({ name, rows: amount }) => `${name} ${percent(amount / examples.length)}`).join(', ')}
          {labels.length > 8 && ` and ${count(labels.length - 8)} more`}.
        </p>
      ) : (
        <p class="warning" role="alert">
          <Icon name="alert" /> {obstacle}
        </p>
      )}
      {notes.length > 0 && (
        <ul>
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function notesOf({ problems: { empty, duplicates, contradictory, scarce } }: Rows): string[] {
  const rowsOf = (amount: number): string => (amount === 1 ? 'One row' : `${count(amount)} rows`);
  return [
    ...(empty > 0 ? [`${rowsOf(empty)} without a text or a label: left out.`] : []),
    ...(duplicates > 0 ? [`${rowsOf(duplicates)} more than once: used once, or the test would be unfair.`] : []),
    ...(contradictory > 0 ? [`${count(contradictory)} ${contradictory === 1 ? 'text has' : 'texts have'} several labels: left out, for nobody can say which is right.`] : []),
    ...(scarce.length > 0 ? [`Fewer than ${FEW} rows for ${scarce.slice(0, 5).join(', ')}${scarce.length > 5 ? ` and ${scarce.length - 5} more` : ''}: expect mistakes there.`] : []),
  ];
}

interface LearnProps {
  readonly teaching: Teaching;
  readonly rows: Rows | undefined;
  readonly ready: boolean;
  /** The server lacks the model that learns. */
  readonly missing: boolean;
}

function LearnRow({ teaching: { state, learn, cancel }, rows, ready, missing }: LearnProps): JSX.Element {
  const { busy } = state;
  const usable = rows && rows.obstacle === undefined ? rows.examples : undefined;
  const hint = missing
    ? 'The model that learns is not on this server. Fetch it there with ./build.sh demo.'
    : !ready
      ? 'The small model is not ready yet.'
      : usable === undefined
        ? 'Paste rows, choose a file or use the sample.'
        : 'A half is learnt from, a quarter certifies, a quarter tests; the same rows each time. Nothing is sent.';
  const canLearn = ready && !missing && usable !== undefined && busy === undefined;
  return (
    <div class="learn-row">
      {busy?.share === undefined ? (
        <button type="button" class="button button-main" aria-disabled={!canLearn} aria-describedby="learn-hint" onClick={() => canLearn && learn(splitRows(usable))}>
          <Icon name="run" />
          Learn
        </button>
      ) : (
        <button type="button" class="button button-main" onClick={cancel}>
          <Icon name="stop" />
          Cancel
        </button>
      )}
      <div class="learn-words">
        {busy?.share === undefined ? (
          <p id="learn-hint" class="run-hint">
            {state.notice?.at === 'learn' ? state.notice.words : hint}
          </p>
        ) : (
          <>
            <p id="learn-words" class="run-hint figures">
              {busy.words}: {percent(busy.share)}
            </p>
            <progress value={busy.share} aria-labelledby="learn-words" />
          </>
        )}
      </div>
    </div>
  );
}
