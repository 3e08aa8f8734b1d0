/** What the tests of the demo as an installed page share: waiting for its service worker, and an answer of either model. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, expect, type Page } from '@playwright/test';
import { ANSWER_TIMEOUT_MS, answer } from './demo_fixtures.ts';

/** Waits until all that the page needs without a network is kept. */
export async function keptOffline(page: Page): Promise<void> {
  const state = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.active?.state);
  await expect.poll(state, { timeout: ANSWER_TIMEOUT_MS }).toBe('activated');
}

/** An answer of the language model, for labels that nothing has learnt. */
export async function wholeAnswer(page: Page): Promise<void> {
  await answer(page);
  await expect(page.getByTestId('answer-by')).toContainText('The language model answered');
}

/** A browser of its own with a profile on disk, which ends and begins again; others count as private windows. */
export async function withProfile(run: (launch: () => Promise<BrowserContext>) => Promise<void>): Promise<void> {
  const profile = await mkdtemp(join(tmpdir(), 'frontdesk-profile-'));
  let latest: BrowserContext | undefined;
  const launch = async () => {
    await latest?.close();
    const options = { executablePath: process.env.FRONTDESK_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--no-first-run', '--disable-background-networking'] };
    return (latest = await chromium.launchPersistentContext(profile, options));
  };
  try {
    await run(launch);
  } finally {
    await latest?.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}
