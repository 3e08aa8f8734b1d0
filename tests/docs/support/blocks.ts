/** Finds the examples in a page of the documentation: blocks of code that run, and fragments that say why they do not. */
import MarkdownIt from 'markdown-it';

const LANGUAGES = ['js', 'ts', 'html'] as const;
type Language = (typeof LANGUAGES)[number];

/** One fenced block of code. */
interface Block {
  readonly language: Language;
  /** The line of the page on which the code begins, from 1. */
  readonly line: number;
  readonly code: string;
  readonly words: Words;
}

/** What stands behind the language, e.g. "continues" or "fragment: the settings of a bundler". */
interface Words {
  readonly continues: boolean;
  /** Why it is not run. */
  readonly fragment?: string;
  /** The button to press on a page that waits for one. */
  readonly press?: string;
}

/** A program or a page of one block, or of one and those that continue it. */
export interface Example {
  readonly language: Language;
  /** Of the page, from the repository's root. */
  readonly file: string;
  readonly line: number;
  /** Each line is where it is in the page, so that messages name the right one. */
  readonly code: string;
  readonly press?: string;
}

export interface Fragment {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface Examples {
  readonly examples: readonly Example[];
  readonly fragments: readonly Fragment[];
}

const markdown = new MarkdownIt({ html: true });

/** All examples of a page; throws for a block whose words are not known. */
export function examplesOf(file: string, text: string): Examples {
  const examples: Example[] = [];
  const fragments: Fragment[] = [];
  for (const { language, line, code, words } of blocksOf(file, text)) {
    const { continues, fragment: reason, press } = words;
    const last = examples.at(-1);
    if (reason !== undefined) {
      fragments.push({ file, line, reason });
    } else if (!continues) {
      examples.push({ language, file, line, code: moved(code, line), ...(press !== undefined && { press }) });
    } else if (last?.language !== language || language === 'html') {
      throw new Error(`${file}:${line}: there is no program of this language to continue`);
    } else {
      examples[examples.length - 1] = { ...last, code: last.code + moved(code, line - last.code.split('\n').length + 1) };
    }
  }
  return { examples, fragments };
}

/** Paths of this repository that the page names as code. */
export function pathsIn(text: string): string[] {
  const inline = markdown.parse(text, {}).flatMap(({ children }) => children ?? []);
  const path = /^(?:bench|docs|models|scripts|src|tests|www)\/[\w./-]*\w$/;
  return inline.filter(({ type, content }) => type === 'code_inline' && path.test(content) && !content.includes('NAME')).map(({ content }) => content);
}

/** Where the page's links and pictures lead, addresses elsewhere left out. */
export function linksIn(text: string): string[] {
  const inline = markdown.parse(text, {}).flatMap(({ children }) => children ?? []);
  const targets = inline.map((token) => (token.type === 'image' ? token.attrGet('src') : token.type === 'link_open' ? token.attrGet('href') : null));
  return targets.filter((target) => target !== null && !/^[a-z]+:/.test(target)).map(String);
}

/** The anchors of a page's headings, as the site makes them. */
export function anchorsIn(text: string): string[] {
  const tokens = markdown.parse(text, {});
  const headings = tokens.filter((_, index) => tokens[index - 1]?.type === 'heading_open');
  return headings.map(({ content }) => content.replaceAll(/[`*]/g, '').toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, ''));
}

function blocksOf(file: string, text: string): Block[] {
  return markdown.parse(text, {}).flatMap(({ type, info, map, content }) => {
    const [name = '', ...rest] = info.trim().split(/\s+/);
    const language = LANGUAGES.find((known) => known === name);
    if (type !== 'fence' || language === undefined || !map) return [];
    const line = map[0] + 2;
    return [{ language, line, code: content, words: wordsOf(rest.join(' '), `${file}:${line}`) }];
  });
}

function wordsOf(words: string, where: string): Words {
  const [, name, value] = /^(?:\[[^\]]*\] ?)?(continues|fragment|press)?(?:: (.+))?$/.exec(words) ?? [];
  if (words === '' || /^\[[^\]]*\]$/.test(words)) return { continues: false };
  if (name === 'continues' && value === undefined) return { continues: true };
  if (name === 'fragment' && value !== undefined) return { continues: false, fragment: value };
  if (name === 'press' && value !== undefined) return { continues: false, press: value };
  throw new Error(`${where}: "${words}" is none of: continues; fragment: REASON; press: BUTTON`);
}

/** The code on the given line. */
function moved(code: string, line: number): string {
  return '\n'.repeat(line - 1) + code;
}
