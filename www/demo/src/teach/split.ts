// Shares the rows out, the same way every time: to learn from, to certify with, to test with.
import type { Example } from 'frontdesk';

export interface Parts {
  /** About a half. */
  readonly learn: readonly Example[];
  /** About a quarter. */
  readonly calibrate: readonly Example[];
  /** An eighth, played as new tickets; a person may correct them. */
  readonly inbox: readonly Example[];
  /** An eighth that is never corrected, so that it can say whether a new version is better. */
  readonly held: readonly Example[];
}

/** Each label in turn, so that all parts have it; the first row of each goes to learning. */
const TURNS = ['learn', 'calibrate', 'learn', 'inbox', 'learn', 'calibrate', 'learn', 'held'] as const;

export function splitRows(examples: readonly Example[]): Parts {
  const parts: Record<(typeof TURNS)[number], Example[]> = { learn: [], calibrate: [], inbox: [], held: [] };
  const labels = new Map<string, Example[]>();
  for (const example of examples) labels.set(example.label, [...(labels.get(example.label) ?? []), example]);
  for (const rows of labels.values()) {
    // By a hash of the text: as good as chance, and it does not depend on the order of the file.
    const mixed = rows.map((example) => ({ example, rank: hash(example.text) })).sort((a, b) => a.rank - b.rank);
    for (const [index, { example }] of mixed.entries()) parts[TURNS[index % TURNS.length] ?? 'learn'].push(example);
  }
  return parts;
}

/** FNV-1a, with its bits mixed once more so that texts with the same beginning lie apart. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
