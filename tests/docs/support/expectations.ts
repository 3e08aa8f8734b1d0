/** Compares what an example logs with the `// => value` comments beside it. */

/** What was logged on a line that has such a comment. */
export interface Logged {
  readonly line: number;
  readonly text: string;
}

interface Expectation {
  /** The line of the call. */
  readonly line: number;
  readonly text: string;
}

const COMMENT = /\/\/ => (.*)$/;

export interface Instrumented {
  /** The code, whose expected calls of `console.log` also tell `window.onExampleLog` their line. */
  readonly code: string;
  readonly expectations: readonly Expectation[];
}

/** A comment is for the call on its line, or else for the nearest one above. */
export function instrument(code: string): Instrumented {
  const lines = code.split('\n');
  const expectations: Expectation[] = [];
  for (const [index, line] of lines.entries()) {
    const text = COMMENT.exec(line)?.[1]?.trim();
    if (text === undefined) continue;
    const at = lines.slice(0, index + 1).findLastIndex((candidate) => candidate.includes('console.log('));
    if (at < 0) throw new Error(`line ${index + 1}: nothing is logged above this comment`);
    expectations.push({ line: at + 1, text });
    lines[at] = (lines[at] ?? '').replace('console.log(', `window.onExampleLog(${at + 1}, `);
  }
  return { code: lines.join('\n'), expectations };
}

/** What is not as expected; each call must have happened, and always with the expected words. */
export function unmet(expectations: readonly Expectation[], logged: readonly Logged[]): string[] {
  return expectations.flatMap(({ line, text }) => {
    const found = logged.filter((entry) => entry.line === line);
    if (found.length === 0) return [`line ${line}: "${text}" was expected, and nothing was logged`];
    return found.filter((entry) => entry.text !== text).map((entry) => `line ${line}: "${text}" was expected, and "${entry.text}" was logged`);
  });
}
