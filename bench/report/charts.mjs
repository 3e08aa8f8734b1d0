// Charts of the results: speed by engine, and how long decisions take.
import { scaleBand, scaleLinear } from 'd3-scale';
import { drawing, line, rectangle, text } from './svg.mjs';
import { engineTitle } from './tables.mjs';

const WIDTH = 760;
const BAR_LEFT = 250;
const BAR_RIGHT = WIDTH - 150;
const ROW = 26;

/** Horizontal bars for each engine, a group for each model; thin lines are the range of the rounds. */
export function speedChart(results, { measure, title }) {
  const runs = results.runs.filter((run) => !run.failed);
  const models = [...new Set(runs.map(({ model }) => model))];
  const length = scaleLinear([0, Math.max(...runs.flatMap((run) => run.rounds[measure]))], [0, BAR_RIGHT - BAR_LEFT]);
  const body = [];
  let y = 48;
  for (const model of models) {
    const ofModel = runs.filter((run) => run.model === model);
    const rows = scaleBand(
      ofModel.map(({ id }) => id),
      [y + 14, y + 14 + ofModel.length * ROW],
    ).padding(0.25);
    body.push(text({ x: 16, y: y + 6, kind: 'quiet' }, model));
    for (const run of ofModel) body.push(speedBar(run, { measure, length, y: rows(run.id), height: rows.bandwidth() }));
    y += 14 + ofModel.length * ROW + 22;
  }
  const description = runs.map((run) => `${barTitle(run)}, ${run.model}: ${run[measure]} tokens per second`).join('; ');
  return drawing({ width: WIDTH, height: y, title, description }, body);
}

function speedBar(run, { measure, length, y, height }) {
  const values = run.rounds[measure];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const middle = y + height / 2;
  const kind = run.engine === 'Frontdesk' ? 'ours' : 'peer';
  return [
    text({ x: BAR_LEFT - 8, y: middle + 4.5, anchor: 'end' }, barTitle(run)),
    rectangle({ x: BAR_LEFT, y, width: length(run[measure]), height, kind, label: `${low} to ${high} tokens/s` }),
    line({ from: [BAR_LEFT + length(low), middle], to: [BAR_LEFT + length(high), middle], kind: 'range' }),
    text(
      { x: BAR_LEFT + length(high) + 8, y: middle + 4.5 },
      `${run[measure].toFixed(run[measure] < 100 ? 1 : 0)} tokens/s`,
    ),
  ];
}

function barTitle({ engine, variant, threads }) {
  return engineTitle({ engine, variant }) + `, ${threads} thread${threads === 1 ? '' : 's'}`;
}

/** How many texts took how long, with the 50th and the 90th percentile. */
export function latencyChart({ p50_ms: p50, p90_ms: p90, samples_ms: samples }, { title }) {
  const [left, right, top, bottom] = [56, WIDTH - 24, 64, 250];
  const x = scaleLinear([Math.min(...samples) * 0.95, Math.max(...samples) * 1.05], [left, right]).nice();
  const bins = binned(samples, x.ticks(20));
  const y = scaleLinear([0, Math.max(...bins.map(({ count }) => count))], [bottom, top]).nice();
  const body = bins.map(({ from, to, count }) =>
    count === 0
      ? []
      : rectangle({
          x: x(from) + 1,
          y: y(count),
          width: x(to) - x(from) - 2,
          height: bottom - y(count),
          kind: 'ours',
          label: `${count} of ${samples.length}: ${from} to ${to} ms`,
        }),
  );
  body.push(line({ from: [left, bottom], to: [right, bottom] }));
  for (const tick of x.ticks(8))
    body.push(text({ x: x(tick), y: bottom + 18, anchor: 'middle', kind: 'quiet' }, `${tick} ms`));
  for (const tick of y.ticks(4).filter(Number.isInteger))
    body.push(text({ x: left - 8, y: y(tick) + 4, anchor: 'end', kind: 'quiet' }, tick));
  for (const [name, value, height] of [
    ['p50', p50, 0],
    ['p90', p90, 14],
  ]) {
    body.push(line({ from: [x(value), top - 6 + height], to: [x(value), bottom], kind: 'range', dashed: true }));
    body.push(text({ x: x(value) + 4, y: top - 2 + height }, `${name} ${value.toFixed(0)} ms`));
  }
  const description = `${samples.length} texts; half took at most ${p50} ms, nine in ten at most ${p90} ms, the slowest ${Math.max(...samples)} ms.`;
  return drawing({ width: WIDTH, height: bottom + 36, title, description }, body);
}

/** Counts between neighbouring edges; what lies before the first or after the last edge has a bin of the same width. */
function binned(values, edges) {
  const step = edges[1] - edges[0];
  const all = [edges[0] - step, ...edges, edges.at(-1) + step];
  return all.slice(0, -1).map((from, index) => {
    const to = all[index + 1];
    return { from, to, count: values.filter((value) => value >= from && value < to).length };
  });
}
