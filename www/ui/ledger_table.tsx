// Everything that left the device, newest first; each row opens to the exact body.
import { Fragment, type JSX } from 'preact';
import { useState } from 'preact/hooks';
import { clock, count, exactBytes } from './format.js';
import { Icon } from './icons.js';
import type { LedgerEntry, LedgerView } from './ledger.js';

const PURPOSES: Readonly<Record<LedgerEntry['purpose'], string>> = { classify: 'Sort a message', route: 'Route a text', summarise: 'Summarise a text', chat: 'Chat' };

export function LedgerTable({ ledger }: { readonly ledger: LedgerView }): JSX.Element {
  const { entries } = ledger;
  return (
    <section class="ledger" id="ledger" aria-labelledby="ledger-title" tabIndex={-1}>
      <div class="ledger-head">
        <h2 id="ledger-title">What left this device</h2>
        {entries.length > 0 && (
          <button type="button" class="button" onClick={() => saveJson(ledger)}>
            <Icon name="download" />
            Export as JSON
          </button>
        )}
      </div>
      {entries.length === 0 ? (
        <p class="ledger-empty">
          <Icon name="here" /> Nothing has left this device.
        </p>
      ) : (
        <Table entries={entries} total={ledger.totalBytes} />
      )}
    </section>
  );
}

function Table({ entries, total }: { readonly entries: readonly LedgerEntry[]; readonly total: number }): JSX.Element {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col">What and why</th>
          <th scope="col" class="number">
            Bytes
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <Row key={entry.id} entry={entry} />
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row" colSpan={2}>
            {entries.length === 1 ? 'One request' : `${count(entries.length)} requests`} in all
          </th>
          <td class="number" data-testid="ledger-total">
            {exactBytes(total)}
          </td>
        </tr>
      </tfoot>
    </table>
  );
}

function Row({ entry }: { readonly entry: LedgerEntry }): JSX.Element {
  const [open, setOpen] = useState(false);
  const bodyId = `ledger-body-${entry.id}`;
  return (
    <Fragment>
      <tr data-testid="ledger-row">
        <td class="number">
          <time dateTime={entry.at.toISOString()}>{clock(entry.at)}</time>
        </td>
        <td>
          <button type="button" class="ledger-open" aria-expanded={open} aria-controls={bodyId} onClick={() => setOpen(!open)}>
            <Icon name="chevron" />
            {PURPOSES[entry.purpose]}
          </button>
          <span class="ledger-why">
            {entry.why} {entry.outcome}
          </span>
        </td>
        <td class="number" data-testid="ledger-bytes">
          {count(entry.bytes)}
        </td>
      </tr>
      <tr hidden={!open} id={bodyId}>
        <td colSpan={3}>
          <p class="ledger-address">
            Sent to <code>{entry.url}</code>, exactly this:
          </p>
          <pre class="ledger-body" data-testid="ledger-body" tabIndex={0} aria-label="Body of the request">
            {entry.body}
          </pre>
        </td>
      </tr>
    </Fragment>
  );
}

/** Saving is local: the file is made in the page and never sent. */
function saveJson(ledger: LedgerView): void {
  const url = URL.createObjectURL(new Blob([ledger.toJson()], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = 'frontdesk-ledger.json';
  link.click();
  URL.revokeObjectURL(url);
}
