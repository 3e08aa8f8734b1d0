/** The real menu on a real selection and the real side panel, by mouse and keyboard of an X display of its own; skipped where Xvfb or xdotool is missing. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import type { Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, expect, type Extension, launch, test, TICKET } from './extension_fixtures.ts';

test.describe.configure({ timeout: 120_000 });
test.skip(['Xvfb', 'xdotool'].some((name) => spawnSync('which', [name]).status !== 0), 'Xvfb and xdotool are not installed');

/** Keys that lead from the open menu to an item of ours: up from its end, past “Inspect”, into our submenu. */
const DOWN_TO: Readonly<Record<string, readonly string[]>> = { Classify: [], Route: ['Down'], Summarise: ['Down', 'Down'] };

async function startDisplay(): Promise<{ display: string; server: ChildProcess }> {
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1280x960x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const display = await new Promise<string>((resolve, reject) => {
    server.stdio[3]?.once('data', (piece: Buffer) => resolve(`:${piece.toString().trim()}`));
    server.once('exit', () => reject(new Error('Xvfb ended early')));
  });
  return { display, server };
}

async function rightClickOnSelection(page: Page, selector: string, display: string): Promise<void> {
  const text = page.locator(selector);
  await text.click({ clickCount: 3 });
  const box = await text.boundingBox();
  const window = await page.evaluate(() => ({ x: screenX, y: screenY + outerHeight - innerHeight }));
  const [x, y] = [window.x + (box?.x ?? 0) + 40, window.y + (box?.y ?? 0) + 8];
  execFileSync('xdotool', ['mousemove', String(Math.round(x)), String(Math.round(y)), 'click', '3'], { env: { ...process.env, DISPLAY: display } });
  await page.waitForTimeout(700);
}

async function pressKeys(page: Page, keys: readonly string[], display: string): Promise<void> {
  for (const key of keys) {
    execFileSync('xdotool', ['key', key], { env: { ...process.env, DISPLAY: display } });
    await page.waitForTimeout(200);
  }
}

async function panelText(extension: Extension): Promise<string> {
  const [panel] = (await extension.devtools.targets(extension.origin)).filter(({ type, url }) => type === 'page' && url.endsWith('/panel.html'));
  if (panel === undefined) return '';
  return String(await extension.devtools.evaluate(panel.id, "document.querySelector('.result')?.innerText ?? ''"));
}

test('a right click on a selection shows our three items; each opens the side panel, and that shows the answer', async ({ folder, office }) => {
  const { display, server } = await startDisplay();
  try {
    const extension = await launch(folder, { headless: false, env: { DISPLAY: display } });
    const [page] = extension.context.pages();
    if (page === undefined) throw new Error('there is no window');
    await page.goto(office.origin);
    const expected = { Classify: /Answered here in .*How sure the model is.*billing/s, Route: /(Answered here in|A person should look).*60% needed/s, Summarise: /Answered here in .*A small model writes this/s };
    for (const [name, words] of Object.entries(expected)) {
      await rightClickOnSelection(page, '#ticket', display);
      await pressKeys(page, ['Up', 'Up', 'Right', ...(DOWN_TO[name] ?? []), 'Return'], display);
      await expect.poll(() => panelText(extension), { timeout: ANSWER_TIMEOUT_MS, message: name }).toMatch(words);
    }
    const contexts = await extension.background.evaluate(() => chrome.runtime.getContexts({ contextTypes: ['SIDE_PANEL'] as chrome.runtime.ContextType[] }));
    expect(contexts).toHaveLength(1);
    const [panel] = (await extension.devtools.targets(extension.origin)).filter(({ url }) => url.endsWith('/panel.html'));
    expect(await extension.devtools.evaluate(panel?.id ?? '', "document.querySelector('textarea').value")).toBe(TICKET);
    await extension.close();
  } finally {
    server.kill();
  }
});

test('without a display the real side panel opens by a gesture on a page of ours, and the toolbar’s button is set to open it', async ({ folder }) => {
  const extension = await launch(folder);
  const page = await extension.context.newPage();
  await page.goto(`${extension.origin}/options.html`);
  // Opened by a gesture on a page of ours: the real side panel, also without a display.
  await page.evaluate(async () => {
    const { id } = await chrome.windows.getCurrent();
    await chrome.sidePanel.open({ windowId: id ?? 0 });
  });
  await expect.poll(() => panelText(extension)).toContain('Nothing read yet');
  expect(await extension.background.evaluate(() => chrome.sidePanel.getPanelBehavior())).toEqual({ openPanelOnActionClick: true });
  await extension.close();
});
