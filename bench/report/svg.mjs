// The little that the charts share as SVG: escaping, the frame with title and description, colours.

/** Tells apart for readers who see few colours (Okabe and Ito), on a light and on a dark ground. */
export const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#8c8c8c', '#b5a800'];

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .quiet { fill: #59636e; font-size: 12px; }
  .ground { fill: #ffffff; }
  .axis { stroke: #8c959f; fill: none; }
  .ours { fill: #0072b2; }
  .peer { fill: #8c959f; }
  .range { stroke: #1f2328; fill: none; }
  .on-colour { fill: #ffffff; stroke: #1f2328; stroke-width: 2.5px; paint-order: stroke; }
  @media (prefers-color-scheme: dark) {
    text:not(.on-colour) { fill: #e6edf3; }
    text.quiet { fill: #9198a1; }
    .ground { fill: #0d1117; }
    .ours { fill: #3a9fdc; }
    .peer { fill: #6e7681; }
    .range { stroke: #e6edf3; }
  }`;

export function escape(text) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return String(text).replace(/[&<>"]/g, (character) => entities[character]);
}

/** A whole file; `description` says in words what the picture shows. */
export function drawing({ width, height, title, description }, body) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escape(title)}</title>
<desc id="description">${escape(description)}</desc>
<style>${STYLE}
</style>
<rect class="ground" width="${width}" height="${height}" rx="6"/>
${text({ x: 16, y: 28, kind: 'title' }, title)}
${body.flat(Infinity).join('\n')}
</svg>
`;
}

export function text({ x, y, anchor = 'start', kind }, content) {
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}"${kind ? ` class="${kind}"` : ''}>${escape(content)}</text>`;
}

/** In the middle of a coloured shape; the dark edge keeps it legible on light colours. */
export function textOnColour({ x, y }, content) {
  return `<text class="on-colour" x="${fixed(x)}" y="${fixed(y)}" text-anchor="middle">${escape(content)}</text>`;
}

export function rectangle({ x, y, width, height, kind, colour, label }) {
  const paint = kind ? `class="${kind}"` : `fill="${colour}"`;
  const tooltip = label ? `<title>${escape(label)}</title>` : '';
  return `<rect ${paint} x="${fixed(x)}" y="${fixed(y)}" width="${fixed(Math.max(width, 0.5))}" height="${fixed(height)}">${tooltip}</rect>`;
}

export function line({ from, to, kind = 'axis', dashed = false }) {
  const dashes = dashed ? ' stroke-dasharray="4 3"' : '';
  return `<line class="${kind}" x1="${fixed(from[0])}" y1="${fixed(from[1])}" x2="${fixed(to[0])}" y2="${fixed(to[1])}"${dashes}/>`;
}

export function fixed(number) {
  return Number(number.toFixed(1));
}
