/** The pages whose examples are run: those of the site, and the readmes that lead to it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../../', import.meta.url));

export interface DocumentationPage {
  /** From the repository's root. */
  readonly file: string;
  readonly text: string;
}

export async function documentationPages(): Promise<DocumentationPage[]> {
  const entries = await readdir(join(repository, 'docs'), { recursive: true });
  const site = entries.filter((entry) => entry.endsWith('.md') && !/node_modules|\.vitepress/.test(entry)).map((entry) => join('docs', entry));
  const files = ['README.md', 'www/sdk/README.md', ...site.sort()];
  return Promise.all(files.map(async (file) => ({ file, text: await readFile(join(repository, file), 'utf8') })));
}
