/** Checks the types of examples against the declarations that the package ships. */
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Example } from './blocks.ts';
import { repository } from './pages.ts';

const packages = '../../www/node_modules';

/** What the compiler objects to; `folder` is made anew below target/. */
export async function typeComplaints(examples: readonly Example[], folder: string): Promise<string[]> {
  const path = join(repository, 'target', folder);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
  const programs = examples.filter(({ language }) => language !== 'html');
  await Promise.all(programs.map((example) => writeFile(join(path, nameOf(example)), example.code)));
  await writeFile(join(path, 'tsconfig.json'), JSON.stringify(settings, undefined, 2));
  try {
    await promisify(execFile)(process.execPath, [join(repository, 'www/node_modules/typescript/bin/tsc'), '-p', path, '--pretty', 'false']);
    return [];
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (!stdout) throw error;
    return stdout.trim().split('\n');
  }
}

/** E.g. docs-classify.md-12.ts; lines are those of the page. */
function nameOf({ file, line, language }: Example): string {
  return `${file.replaceAll('/', '-')}-${line}.${language}`;
}

const declarations = '../../www/sdk/dist';
const settings = {
  compilerOptions: {
    noEmit: true,
    strict: true,
    allowJs: true,
    checkJs: true,
    target: 'es2022',
    module: 'esnext',
    moduleResolution: 'bundler',
    moduleDetection: 'force',
    lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
    types: [],
    skipLibCheck: true,
    paths: {
      frontdesk: [`${declarations}/index.d.ts`],
      'frontdesk/openai': [`${declarations}/adapters/openai_fetch.d.ts`],
      'frontdesk/ai-sdk': [`${declarations}/adapters/ai_sdk.d.ts`],
      'frontdesk/prompt-api': [`${declarations}/adapters/prompt_api.d.ts`],
      '@ai-sdk/provider': [`${packages}/@ai-sdk/provider`],
      ai: [`${packages}/ai`],
      openai: [`${packages}/openai`],
      zod: [`${packages}/zod`],
    },
  },
  include: ['*.ts', '*.js'],
};
