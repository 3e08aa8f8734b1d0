/** Runs one example as a page of its own, with the built SDK, the real models and a real backend. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from '@playwright/test';
import type * as esbuild from 'esbuild';
import type { Site } from '../../browser/servers/site.ts';
import type { Example } from './blocks.ts';
import { instrument, type Logged, unmet } from './expectations.ts';

const fromPackages = createRequire(fileURLToPath(new URL('../../../www/package.json', import.meta.url)));
const { buildSync, transformSync } = fromPackages('esbuild') as typeof esbuild;
const { exports: entryPoints } = fromPackages('./sdk/package.json') as { exports: Record<string, string | { default: string }> };

const EXAMPLE_MS = 45_000;
/** What examples import beside the package itself. */
const PACKAGES = ['openai', 'ai', 'zod'];

/** Puts on the site what all examples need. */
export function prepareSite(site: Site): void {
  for (const name of PACKAGES) site.scripts.set(`/packages/${name}.js`, bundled(name));
  site.upstream.reset(answerOfBackend);
}

/** What is wrong with an example: errors that it throws or logs, and logs that are not as its comments say. */
export async function complaintsOf(context: BrowserContext, site: Site, example: Example): Promise<string[]> {
  const complaints: string[] = [];
  const logged: Logged[] = [];
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`${error.name}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`logged as an error: ${message.text()}`);
  });
  try {
    const { code, expectations } = instrument(example.code);
    await watch(page, logged);
    site.scripts.set('/example.html', example.language === 'html' ? toPage(code) : programPage(transformed(example, code)));
    await page.goto(`${site.origin}/example.html`);
    await ends(page, complaints);
    if (example.press !== undefined && complaints.length === 0) await press(page, example.press);
    if (complaints.length === 0) complaints.push(...unmet(expectations, logged));
  } catch (error) {
    complaints.push(error instanceof Error ? error.message : String(error));
  } finally {
    await page.close();
  }
  return complaints;
}

/** Lets the page tell what it logs on expected lines, and that it has come to its end. */
async function watch(page: Page, logged: Logged[]): Promise<void> {
  await page.exposeFunction('tellExampleLog', (line: number, text: string) => logged.push({ line, text }));
  await page.addInitScript(() => {
    const scope = window as unknown as Record<string, unknown> & { tellExampleLog(line: number, text: string): void };
    scope.onExampleLog = (line: number, ...values: unknown[]) => {
      console.log(...values);
      scope.tellExampleLog(line, values.map((value) => (typeof value === 'string' ? value : (JSON.stringify(value) as string | undefined) ?? 'undefined')).join(' '));
    };
    scope.onExampleEnd = () => document.documentElement.setAttribute('data-ended', 'yes');
  });
}

/** Waits until the example has run to its end, or something is wrong. */
async function ends(page: Page, complaints: readonly string[]): Promise<void> {
  for (const end = Date.now() + EXAMPLE_MS; Date.now() < end; await page.waitForTimeout(50)) {
    if (complaints.length > 0) return;
    if (await page.locator('html[data-ended=yes]').count()) return;
  }
  throw new Error(`it has not come to its end within ${EXAMPLE_MS / 1000} seconds`);
}

/** Presses a button, and waits until the page's output says something. */
async function press(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name }).click({ timeout: EXAMPLE_MS });
  await page.locator('output').filter({ hasText: /\S/ }).first().waitFor({ timeout: EXAMPLE_MS });
}

function transformed({ language }: Example, code: string): string {
  const end = '\nwindow.onExampleEnd();\n';
  return transformSync(code + end, { loader: language === 'ts' ? 'ts' : 'js', format: 'esm', target: 'es2022' }).code;
}

function programPage(program: string): string {
  const names = Object.entries(entryPoints).filter(([name]) => name === '.' || /^\.\/[a-z-]+$/.test(name));
  const sdk = names.map(([name, target]) => [name.replace('.', 'frontdesk'), (typeof target === 'string' ? target : target.default).replace('./dist', '/sdk')]);
  const imports = Object.fromEntries([...sdk, ...PACKAGES.map((name) => [name, `/packages/${name}.js`])]) as Record<string, string>;
  const script = program.replaceAll('</script', '<\\/script');
  return `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script><body></body><script type="module">${script}</script>`;
}

/** The page as it is written, but that its last script tells when it has ended. */
function toPage(code: string): string {
  const at = code.lastIndexOf('</script>');
  if (at < 0) throw new Error('a page without a script shows nothing');
  return `${code.slice(0, at)};window.onExampleEnd();${code.slice(at)}`;
}

function bundled(name: string): string {
  const { outputFiles } = buildSync({
    stdin: { contents: `export * from '${name}';${name === 'openai' ? "export { default } from 'openai';" : ''}`, resolveDir: fileURLToPath(new URL('../../../www', import.meta.url)) },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
  });
  return outputFiles[0]?.text ?? '';
}

/** The backend knows what every backend would: a label that it was offered, or a polite line. */
function answerOfBackend(body: string): string {
  const labels = [...body.matchAll(/\\n- ([^:\\]+)/g)].map(([, label]) => label ?? '');
  return labels.find((label) => label === 'billing') ?? labels[0] ?? 'Your refund is on its way.';
}
