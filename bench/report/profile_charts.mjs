// Charts of docs/results/profile.json: where the time of a forward pass goes, and what the machine would allow.
//
// `{ threads?, peak: { gmacs_per_thread, read_gbps }, prefill: [{ op, ms, macs, bytes }], decode: [...] }`:
// multiply-adds in thousand millions a second, memory read in GB/s by all threads together.
import { scaleLinear, scaleLog } from 'd3-scale';
import { drawing, escape, fixed, line, PALETTE, rectangle, text, textOnColour } from './svg.mjs';

const WIDTH = 760;
const PHASES = ['prefill', 'decode'];

/** Each operation by multiply-adds per byte and by speed, below the roof of memory and of arithmetic. */
export function rooflineChart({ peak, threads = 1, ...profile }) {
  const points = PHASES.flatMap((phase) => profile[phase].map((entry) => ({ ...entry, phase })))
    .filter(({ ms, macs, bytes }) => ms > 0 && macs > 0 && bytes > 0)
    .map((entry) => ({ ...entry, intensity: entry.macs / entry.bytes, speed: entry.macs / entry.ms / 1e6 }));
  const roof = peak.gmacs_per_thread * threads;
  const ridge = roof / peak.read_gbps;
  const [left, right, top, bottom] = [64, WIDTH - 24, 76, 400];
  const x = scaleLog(extent([ridge, ...points.map(({ intensity }) => intensity)]), [left, right]);
  const y = scaleLog(extent([roof, ...points.map(({ speed }) => speed)]), [bottom, top]);
  const [lowest] = y.domain();
  const [leftmost, rightmost] = x.domain();
  // The slope begins where the frame does, at its left or at its lower edge.
  const start = Math.max(leftmost, lowest / peak.read_gbps);
  const body = [
    line({ from: [left, bottom], to: [right, bottom] }),
    line({ from: [left, top], to: [left, bottom] }),
    line({ from: [x(start), y(start * peak.read_gbps)], to: [x(ridge), y(roof)], kind: 'range' }),
    line({ from: [x(ridge), y(roof)], to: [x(rightmost), y(roof)], kind: 'range' }),
    text({ x: right, y: 52, anchor: 'end', kind: 'quiet' }, `roofs: ${roof} GMAC/s, ${peak.read_gbps} GB/s`),
    ...powers(x).map((value) => text({ x: x(value), y: bottom + 18, anchor: 'middle', kind: 'quiet' }, value)),
    ...powers(y).map((value) => text({ x: left - 8, y: y(value) + 4, anchor: 'end', kind: 'quiet' }, value)),
    text({ x: (left + right) / 2, y: bottom + 38, anchor: 'middle', kind: 'quiet' }, 'multiply-adds per byte read'),
    text({ x: 16, y: top - 14, kind: 'quiet' }, 'GMAC/s'),
  ];
  const names = [...new Set(points.map(({ op }) => op))];
  for (const { op, phase, intensity, speed } of points) {
    const at = [x(intensity), y(speed)].map(fixed);
    const kind = phase === 'prefill' ? 'ours' : 'peer';
    body.push(
      `<circle class="${kind}" cx="${at[0]}" cy="${at[1]}" r="9" fill-opacity="0.75"><title>${escape(`${phase} ${op}`)}</title></circle>`,
    );
    body.push(textOnColour({ x: at[0], y: at[1] + 4 }, names.indexOf(op) + 1));
  }
  names.forEach((name, index) => {
    const place = { x: left + (index % 4) * 165, y: bottom + 64 + Math.floor(index / 4) * 20 };
    body.push(text({ ...place, kind: 'quiet' }, `${index + 1}  ${name}`));
  });
  body.push(
    legend(
      [
        ['prefill', { kind: 'ours' }],
        ['decode', { kind: 'peer' }],
      ],
      { x: left + 90, y: 52 },
    ),
  );
  const description = points
    .map(
      ({ op, phase, speed, intensity }) =>
        `${phase} ${op}: ${speed.toFixed(1)} GMAC/s at ${intensity.toFixed(1)} multiply-adds per byte`,
    )
    .join('; ');
  return drawing(
    {
      width: WIDTH,
      height: bottom + 74 + Math.floor((names.length - 1) / 4) * 20,
      title: `Roofline, ${threads} thread${threads === 1 ? '' : 's'}`,
      description,
    },
    body,
  );
}

/** Two bars of the whole time, prefill and decode, parted by operation. */
export function operationsChart(profile) {
  const names = [...new Set(PHASES.flatMap((phase) => profile[phase].map(({ op }) => op)))];
  const colour = Object.fromEntries(names.map((name, index) => [name, PALETTE[index % PALETTE.length]]));
  const [left, right] = [80, WIDTH - 24];
  const body = [];
  const sentences = [];
  PHASES.forEach((phase, row) => {
    const total = profile[phase].reduce((sum, { ms }) => sum + ms, 0);
    const x = scaleLinear([0, total], [left, right]);
    const y = 48 + row * 52;
    body.push(text({ x: left - 8, y: y + 22, anchor: 'end' }, phase));
    let done = 0;
    for (const { op, ms } of profile[phase]) {
      const share = `${((ms / total) * 100).toFixed(0)}%`;
      const width = x(done + ms) - x(done);
      body.push(
        rectangle({ x: x(done), y, width, height: 34, colour: colour[op], label: `${op}: ${ms} ms, ${share}` }),
      );
      if (width > 34) body.push(textOnColour({ x: x(done) + width / 2, y: y + 22 }, share));
      sentences.push(`${phase} ${op} ${share}`);
      done += ms;
    }
  });
  const rows = Math.ceil(names.length / 4);
  for (let row = 0; row < rows; row += 1) {
    const entries = names.slice(row * 4, row * 4 + 4).map((name) => [name, { colour: colour[name] }]);
    body.push(legend(entries, { x: left, y: 170 + row * 22 }));
  }
  return drawing(
    {
      width: WIDTH,
      height: 176 + rows * 22,
      title: 'Share of the time by operation',
      description: sentences.join('; '),
    },
    body,
  );
}

function legend(entries, { x, y }) {
  return entries.map(([name, paint], index) => [
    rectangle({ x: x + index * 165, y: y - 11, width: 12, height: 12, ...paint }),
    text({ x: x + index * 165 + 18, y, kind: 'quiet' }, name),
  ]);
}

/** From below the least to above the largest value, for a logarithmic axis. */
function extent(values) {
  return [Math.min(...values) / 1.6, Math.max(...values) * 1.6];
}

function powers(scale) {
  const [from, to] = scale.domain();
  const exponents = Array.from({ length: 16 }, (_, index) => index - 6);
  return exponents.map((exponent) => Number(`1e${exponent}`)).filter((value) => value >= from && value <= to);
}
