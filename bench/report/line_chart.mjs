// A chart of lines over two shares, from 0 to 1 or a part of that, with a legend.
import { scaleLinear } from 'd3-scale';
import { drawing, fixed, line, PALETTE, text } from './svg.mjs';

const WIDTH = 760;
const [LEFT, RIGHT, HEIGHT] = [72, WIDTH - 24, 320];
const LEGEND = { columns: 2, width: 340, row: 18 };

/**
 * `lines`: `{ name, points: [[x, y], ...], dashed, dots }`; `x` and `y`: `{ title, domain }`, shares that are
 * written in percent.
 */
export function lineChart({ title, description, lines, x, y }) {
  const top = 72 + LEGEND.row * Math.ceil(lines.length / LEGEND.columns);
  const bottom = top + HEIGHT;
  const across = scaleLinear(x.domain, [LEFT, RIGHT]).clamp(true);
  const up = scaleLinear(y.domain, [bottom, top]).clamp(true);
  const percent = (share) => `${fixed(share * 100)}%`;
  const body = [
    line({ from: [LEFT, bottom], to: [RIGHT, bottom] }),
    line({ from: [LEFT, top], to: [LEFT, bottom] }),
    ...across
      .ticks(6)
      .map((tick) => text({ x: across(tick), y: bottom + 18, anchor: 'middle', kind: 'quiet' }, percent(tick))),
    ...up.ticks(6).map((tick) => text({ x: LEFT - 8, y: up(tick) + 4, anchor: 'end', kind: 'quiet' }, percent(tick))),
    text({ x: (LEFT + RIGHT) / 2, y: bottom + 40, anchor: 'middle', kind: 'quiet' }, x.title),
    text({ x: 16, y: top - 14, kind: 'quiet' }, y.title),
  ];
  lines.forEach((each, index) => {
    const colour = PALETTE[index % PALETTE.length];
    const places = each.points
      .filter(([value]) => value >= x.domain[0] && value <= x.domain[1])
      .map(([a, b]) => `${fixed(across(a))},${fixed(up(b))}`);
    const dashes = each.dashed ? ' stroke-dasharray="6 4"' : '';
    body.push(`<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`);
    if (each.dots)
      for (const place of places) {
        const [cx, cy] = place.split(',');
        body.push(`<circle cx="${cx}" cy="${cy}" r="4" fill="${colour}"/>`);
      }
    const [column, row] = [index % LEGEND.columns, Math.floor(index / LEGEND.columns)];
    const at = { x: LEFT + 8 + column * LEGEND.width, y: 48 + row * LEGEND.row };
    body.push(
      `<line x1="${at.x}" y1="${at.y - 4}" x2="${at.x + 22}" y2="${at.y - 4}" stroke="${colour}" stroke-width="2"${dashes}/>`,
      text({ x: at.x + 28, y: at.y, kind: 'quiet' }, each.name),
    );
  });
  return drawing({ width: WIDTH, height: bottom + 56, title, description }, body);
}
