// The results as tables of words: the same rows for the terminal and for the document.

/** Tables with a title, column names and rows of text. */
export function tables(results) {
  const models = [...new Set(results.runs.map(({ model }) => model))];
  return [
    ...models.map((model) =>
      speeds(
        results.runs.filter((run) => run.model === model),
        model,
      ),
    ),
    missing(results),
    ratios(results),
    frontdeskOnly(results),
    targets(results),
  ].filter(({ rows }) => rows.length > 0);
}

function speeds(runs, model) {
  const figure = (run, name) => withRange(run[name], run.rounds[name] ?? []);
  return {
    title: model,
    columns: ['engine', 'version', 'threads', 'prefill, tokens/s', 'decode, tokens/s', 'load, s'],
    rows: runs.map((run) => {
      const start = [engineTitle(run), run.version ?? '-', String(run.threads)];
      if (run.failed) return [...start, 'missing', '-', '-'];
      return [...start, figure(run, 'prefill_tps'), figure(run, 'decode_tps'), (run.load_ms / 1000).toFixed(1)];
    }),
  };
}

function missing({ runs }) {
  const failed = runs.filter((run) => run.failed);
  return {
    title: 'Missing',
    columns: ['engine', 'model', 'reason'],
    rows: failed.map(({ id, model, failed: reason }) => [id, model, reason]),
  };
}

/** The engine with the variant that ran; where that is not the one that was asked for, so it says. */
export function engineTitle({ engine, variant, threads, asked }) {
  const different = asked && (threads !== asked.threads || (asked.variant && asked.variant !== variant));
  const wish = different
    ? `, asked for ${[asked.variant, `${asked.threads} threads`].filter(Boolean).join(' with ')}`
    : '';
  return `${engine}${variant ? ` (${variant}${wish})` : wish}`;
}

function ratios({ ratios: values, ratio_ranges: ranges }) {
  const entries = Object.entries(values).filter(([, value]) => value !== null);
  return {
    title: 'Frontdesk as a multiple of its peers (SmolLM2, 2 threads; medians of the ratios of each round)',
    columns: ['measure', 'ratio'],
    rows: entries.map(([name, value]) => [name.replaceAll('_', ' '), withRange(value, ranges[name], 2)]),
  };
}

function frontdeskOnly({ runs, classify, embed, embed_many: many, first_token_ms: visits, sizes, notes }) {
  const rows = [];
  for (const run of runs) {
    if (run.prefill_1024_tps)
      rows.push([
        `prefill of 1,024 tokens, ${run.model}, tokens/s`,
        withRange(run.prefill_1024_tps, run.rounds.prefill_1024_tps),
      ]);
    if (run.memory && run.main)
      rows.push([
        `WebAssembly memory, ${run.model}, MB`,
        `${megabytes(run.memory.wasm_bytes)} (${run.memory.ratio} of model file and KV cache)`,
      ]);
  }
  if (classify)
    rows.push([`classification into 8 labels, ${classify.median_tokens} new tokens, ms`, percentiles(classify)]);
  if (embed) rows.push([`embedding of a text of ${embed.median_tokens} tokens, ms`, percentiles(embed)]);
  if (many)
    rows.push([
      `embedding of ${many.texts} texts of some 15 tokens, ms: one by one, together`,
      `${Math.round(many.aloneMs)}, ${Math.round(many.togetherMs)}`,
    ]);
  for (const [engine, times] of Object.entries(visits)) {
    rows.push([
      `navigation to first token, model kept, ${engine}, ms`,
      times.failed ? `missing: ${times.failed}` : withRange(times.median, times.visits),
    ]);
  }
  for (const { variant, gzip_bytes: bytes } of sizes)
    rows.push([`code of ${variant}, MB gzipped`, megabytes(bytes, 2)]);
  const loaded = new Map(runs.filter(({ download }) => download).map((run) => [run.engine, run.download]));
  for (const [engine, download] of loaded) {
    if (engine !== 'Frontdesk') rows.push([`code of ${engine}, MB gzipped`, megabytes(download.gzip_bytes, 2)]);
  }
  for (const note of notes) rows.push([note.what, note.text]);
  return { title: 'More', columns: ['measure', 'figure'], rows };
}

function targets({ targets: judged }) {
  const words = { true: 'yes', false: 'no', null: 'not measured' };
  return {
    title: 'Targets',
    columns: ['target', 'bound', 'measured', 'met'],
    rows: judged.map(({ name, target, measured, met }) => [
      name,
      target,
      measured === null ? '-' : String(measured),
      words[met],
    ]),
  };
}

function withRange(value, values, digits) {
  const text = (number) => number.toFixed(digits ?? (number < 100 ? 1 : 0));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least < most ? `${text(value)} (${text(least)}-${text(most)})` : text(value);
}

function percentiles({ p50_ms: p50, p90_ms: p90, samples_ms: samples }) {
  return `p50 ${p50.toFixed(0)}, p90 ${p90.toFixed(0)} (${samples.length} texts)`;
}

function megabytes(bytes, digits = 0) {
  return (bytes / 1e6).toFixed(digits);
}

/** How quiet the machine was between the turns, in words. */
export function busyText({ busy_elsewhere: busy }) {
  if (!busy) return 'nothing was measured in rounds';
  const percent = (share) => `${Math.round(share * 100)}%`;
  return `between the turns something else used ${percent(busy.median)} of the cores (median; at most ${percent(busy.most)})`;
}

/** A table for a terminal. */
export function toText({ title, columns, rows }) {
  const widths = columns.map((_, column) => Math.max(...[columns, ...rows].map((row) => row[column].length)));
  const line = (row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd();
  return [title, line(columns), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** A table for a Markdown document. */
export function toMarkdown({ title, columns, rows }) {
  const line = (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [`### ${title}`, '', line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
