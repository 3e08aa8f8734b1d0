// Writes docs/decisions.md's figures and charts from docs/results/decisions.json: ./build.sh decisions.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './machine.mjs';
import { EXECUTABLE } from './hosts/browser.mjs';
import { replacePart } from './report/document.mjs';
import { lineChart } from './report/line_chart.mjs';
import { toMarkdown } from './report/tables.mjs';

const docs = fileURLToPath(new URL('../docs/', import.meta.url));
const folder = path.join(docs, 'results');
const results = JSON.parse(readFileSync(path.join(folder, 'decisions.json'), 'utf8'));
const { banking77: banking, clinc150: clinc, banking77_oos: oos, cascade, ladder, label_scores: labelScores, browser = [] } = results;
const NOTHING = 'no guarantee';

const percent = (share, digits = 1) =>
  share === null || share === undefined ? NOTHING : `${(share * 100).toFixed(digits)}%`;
const duration = (ms) => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`);
const digits3 = (number) => number.toFixed(3);

function targets() {
  const shifted = clinc.full.certified.shifted;
  const rows = [
    ['Banking77, all rows: accuracy', 'at least 93.5%', banking.full.accuracy, (x) => x >= 0.935],
    ['Banking77: certified local share', 'at least 85%', banking.full.certified_local_share, (x) => x >= 0.85],
    [
      'Banking77: error added on test',
      'at most 2%',
      banking.full.certified.error_on_test,
      (x) => x <= 0.02,
    ],
    ['CLINC150, all rows: in-scope accuracy', 'at least 96%', clinc.full.accuracy, (x) => x >= 0.96],
    ['CLINC150: certified local share', 'at least 93%', clinc.full.certified_local_share, (x) => x >= 0.93],
    ['CLINC150: error added on test', 'at most 2%', shifted?.error_on_test ?? null, (x) => x <= 0.02],
    ['Banking77, 10 rows a label: accuracy', 'at least 87%', banking.ten_shot.accuracy, (x) => x >= 0.87],
    ['CLINC150, 10 rows a label: accuracy', 'at least 92.5%', clinc.ten_shot.accuracy, (x) => x >= 0.925],
    ['CLINC150: AUROC of out-of-scope rows', 'at least 97.2%', clinc.oos_auroc, (x) => x >= 0.972],
    ['near and far out-of-scope beat the top probability', 'both', nearAndFar(), (x) => x === 'both'],
    ['Banking77: ECE', 'at most 2%', banking.full.ece, (x) => x <= 0.02],
    ['CLINC150: ECE', 'at most 2%', clinc.full.ece, (x) => x <= 0.02],
    ['Banking77: budget broken, of 200 splits', 'at most 5%', banking.full.violations.share, (x) => x <= 0.05],
    ['CLINC150: budget broken, of 200 splits', 'at most 5%', clinc.full.violations.share, (x) => x <= 0.05],
    ['cascade, cloud right 95%: cost', 'at most 15%', cascade.cloud_right_95.cost_ratio, (x) => x <= 0.15],
    ['cascade, cloud right 80%: cost', 'at most 15%', cascade.cloud_right_80.cost_ratio, (x) => x <= 0.15],
  ];
  const [few, many] = browser;
  const times = [
    ['learnt from 770 examples in the page, 2 threads', 'at most 5 s', few?.learn_ms, 5000],
    ['learnt from 10,003 examples', 'at most 90 s', many?.learn_ms, 90_000],
    ['one answer to a message of some 32 tokens, p50', 'at most 15 ms', few?.answer_p50_ms, 15],
    ['one answer, p95', 'at most 30 ms', few?.answer_p95_ms, 30],
  ];
  return {
    title: 'Targets',
    columns: ['target', 'bound', 'measured', 'met'],
    rows: [
      ...rows.map(([name, bound, value, isMet]) => [
        name,
        bound,
        typeof value === 'string' ? value : percent(value, 2),
        value !== null && isMet(value) ? 'yes' : 'no',
      ]),
      ...times.map(([name, bound, ms, most]) =>
        ms === undefined ? [name, bound, 'not measured', ''] : [name, bound, duration(ms), ms <= most ? 'yes' : 'no'],
      ),
    ],
  };
}

function pageTimes() {
  return {
    title: 'Tasks in the page, Chromium, 2 threads',
    columns: ['examples', 'learnt in', 'reading the texts', 'an answer, p50', 'p95', 'memory before, and after each learning'],
    rows: browser.map((run) => [
      String(run.examples),
      ...['learn_ms', 'read_ms', 'answer_p50_ms', 'answer_p95_ms'].map((name) => duration(run[name])),
      `${run.memory_mb.join(', ')} MB`,
    ]),
  };
}

/** Which kinds of strangers strangeness tells better than low confidence does. */
function nearAndFar() {
  const better = ['near', 'far'].filter((kind) => oos[`${kind}_auroc`] > oos[`${kind}_auroc_max_prob`]);
  return better.length === 2 ? 'both' : (better[0] ?? 'none');
}

function accuracies() {
  const row = (name, { full, ten_shot: few }) => [
    [`${name}, all rows`, percent(full.accuracy), percent(full.tf_idf_accuracy), percent(full.ece), digits3(full.aurc)],
    [
      `${name}, 10 rows a label, median of ${few.draws} draws (${percent(few.least)} to ${percent(few.most)})`,
      percent(few.accuracy),
      '',
      percent(few.ece),
      '',
    ],
    [
      `${name}, the published draw of 10`,
      percent(few.published_draw),
      percent(few.published_draw_tf_idf),
      '',
      '',
    ],
  ];
  return {
    title: 'Accuracy on test rows',
    columns: ['learnt from', 'accuracy', 'tf-idf', 'ECE', 'AURC'],
    rows: [...row('Banking77', banking), ...row('CLINC150', clinc)],
  };
}

function certificates() {
  const { certified } = banking.full;
  const clincRow = (name, row) => [
    name,
    percent(row?.local_share),
    percent(row?.error_on_test, 2),
    row ? digits3(row.threshold) : '',
  ];
  return {
    title: 'Certified on other rows, budget 2%, confidence 95%',
    columns: ['calibration rows', 'answered here', 'error added on test', 'threshold'],
    rows: [
      [
        `Banking77: ${certified.calibration}; median of ${certified.splits} splits, ${certified.splits_above_budget} of them above the budget on test`,
        percent(certified.local_share),
        percent(certified.error_on_test, 2),
        '',
      ],
      clincRow('CLINC150: the validation rows, taken to be like the test rows', clinc.full.certified.no_shift),
      clincRow(
        'CLINC150: the validation rows, a shift of 1.5 allowed for',
        clinc.full.certified.shifted,
      ),
    ],
  };
}

function violations() {
  const row = (name, { violations: found }) => [
    name,
    String(found.splits),
    percent(found.share),
    percent(found.share_on_others),
    percent(found.mean_local_share),
  ];
  return {
    title: 'Budget of 2% broken, with thresholds certified on a random 40% of the test rows',
    columns: ['rows', 'splits', 'above it on all rows', 'above it on the other 60%', 'answered here, mean'],
    rows: [row('Banking77', banking.full), row('CLINC150', clinc.full)],
  };
}

function strangers() {
  const row = (name, part, prefix) => [
    name,
    digits3(part[`${prefix}_auroc`]),
    digits3(part[`${prefix}_auroc_max_prob`]),
    percent(part[`${prefix}_kept_out`]),
    percent(part[`${prefix}_in_scope_kept_out`]),
  ];
  return {
    title: 'Out of scope; none of them was learnt from',
    columns: ['rows', 'AUROC', 'AUROC of the top probability', 'kept out', 'in-scope rows kept out'],
    rows: [
      row('CLINC150, test', clinc, 'oos'),
      row('CLINC150, validation', clinc, 'validation_oos'),
      row('Banking77 less 27 labels: these labels', oos, 'near'),
      row('Banking77 less 27 labels: other domains', oos, 'far'),
    ],
  };
}

function signs() {
  return {
    title: 'Signs of strangeness: AUROC of the out-of-scope rows of CLINC150',
    columns: ['rows', 'energy', 'nearest examples', 'Mahalanobis', 'relative Mahalanobis', 'energy and nearest examples (shipped)'],
    rows: clinc.signs.map((row) => [
      row.rows,
      ...['energy', 'nearest_examples', 'mahalanobis', 'relative_mahalanobis', 'shipped'].map((name) => digits3(row[name])),
    ]),
  };
}

function blends() {
  const sets = { snips: 'Snips', bitext_support: 'Bitext customer support' };
  return {
    title: 'Few examples, and label scores of the language model beside them',
    columns: ['rows', 'examples a label', 'task', 'with label scores', 'their share, median', 'label scores alone'],
    rows: Object.entries(labelScores).flatMap(([name, { labels, rows, draws, table }]) =>
      table.map(({ shots, task, blend, language_model: alone, share }) => [
        `${sets[name]}, ${labels} labels, ${rows} test rows, median of ${draws} draws`,
        String(shots),
        percent(task),
        percent(blend),
        percent(share, 0),
        percent(alone),
      ]),
    ),
  };
}

function costs() {
  const row = (result) => [
    percent(result.cloud_accuracy, 0),
    percent(result.cost_ratio),
    percent(result.accuracy),
    percent(result.local_share),
  ];
  return {
    title: 'Simulated cascade: Banking77, CLINC150 and 5% grade-school maths',
    columns: ['cloud right', 'cost, of the cloud for all', 'right', 'answered here'],
    rows: [row(cascade.cloud_right_95), row(cascade.cloud_right_80)],
  };
}

function rungs() {
  return {
    title: `Features: learnt from ${ladder.learnt} training rows of Banking77, tried on ${ladder.held_out} others`,
    columns: ['features', 'numbers', 'accuracy', 'AURC', 'ms a text, natively, one thread'],
    rows: ladder.rungs.map(({ features, width, accuracy, aurc, ms_per_text: ms }) => [
      features,
      width === undefined ? 'sparse' : String(width),
      percent(accuracy),
      aurc === undefined ? '' : digits3(aurc),
      ms === undefined ? '' : ms.toFixed(1),
    ]),
  };
}

function charts() {
  const risk = [
    ['Banking77', banking.full.curves.risk_coverage],
    ['Banking77, tf-idf', banking.full.curves.tf_idf_risk_coverage],
    ['CLINC150', clinc.full.curves.risk_coverage],
    ['CLINC150, tf-idf', clinc.full.curves.tf_idf_risk_coverage],
  ].map(([name, points]) => ({ name, points, dashed: name.endsWith('tf-idf') }));
  const { curves, cloud_accuracy: cloud } = cascade.cloud_right_95;
  const cost = [
    { name: 'least sure first', points: curves.least_sure_first },
    { name: 'at random', points: curves.random, dashed: true },
    { name: 'wrong ones first (oracle)', points: curves.wrong_first, dashed: true },
  ];
  const diagonal = {
    name: 'as sure as right',
    points: [
      [0.3, 0.3],
      [1, 1],
    ],
    dashed: true,
  };
  const reliability = [
    { name: 'Banking77', points: banking.full.curves.reliability, dots: true },
    { name: 'CLINC150', points: clinc.full.curves.reliability, dots: true },
    diagonal,
  ];
  const first = ladder.rungs.filter(({ ms_per_text: ms }) => ms !== undefined);
  const describe = (lines) => lines.map(({ name, points }) => `${name}: ends at ${points.at(-1).join(', ')}`).join('; ');
  const pictures = [
    {
      file: 'coverage_risk.svg',
      title: 'Wrong answers among the surest',
      lines: risk,
      x: { title: 'share of test rows answered, the surest first', domain: [0.3, 1] },
      y: { title: 'wrong ones among them', domain: [0, 0.12] },
    },
    {
      file: 'reliability.svg',
      title: 'Confidence and accuracy',
      lines: reliability,
      x: { title: 'mean confidence, tenths of the test rows', domain: [0.3, 1] },
      y: { title: 'right answers', domain: [0.3, 1] },
    },
    {
      file: 'cost_quality.svg',
      shortTitle: 'Cost and quality of a cascade',
      title: `Cost and quality of a cascade whose cloud is right ${percent(cloud, 0)} of the time`,
      lines: cost,
      x: { title: 'cost, of the cloud for all', domain: [0, 1] },
      y: { title: 'right answers', domain: [0.85, 1] },
    },
    {
      file: 'features.svg',
      shortTitle: 'Features: accuracy and cost',
      title: 'Features: accuracy by cost',
      description: first.map(({ features, accuracy, ms_per_text: ms }) => `${features}: ${percent(accuracy)}, ${ms} ms`).join('; '),
      lines: first.map(({ features, accuracy, ms_per_text: ms }) => ({
        name: features,
        points: [[ms / Math.max(...first.map((rung) => rung.ms_per_text)), accuracy]],
        dots: true,
      })),
      x: { title: 'time of a text, of the slowest', domain: [0, 1] },
      y: { title: 'right answers', domain: [0.8, 0.95] },
    },
  ];
  return pictures.map(({ file, shortTitle, ...picture }) => ({
    file,
    title: shortTitle ?? picture.title,
    svg: lineChart({ description: describe(picture.lines), ...picture }),
  }));
}

const drawn = charts();
for (const { file, svg } of drawn) writeFileSync(path.join(folder, file), svg);
const machine = describeMachine({ chromium: EXECUTABLE });
const part = [
  `Measured on ${new Date().toISOString().slice(0, 10)} with \`./build.sh decisions\`, natively, on ${machine.cores} cores of ${machine.cpu}; all figures in [decisions.json](results/decisions.json).`,
  ...[targets(), accuracies(), certificates(), violations(), strangers(), signs(), costs(), pageTimes(), rungs(), blends()].map(toMarkdown),
  ...drawn.map(({ file, title }) => `![${title}](results/${file})`),
].join('\n\n');
replacePart(path.join(docs, 'decisions.md'), { verb: 'decisions', part });
console.error(`written: ${path.join(docs, 'decisions.md')} and ${drawn.length} charts`);
