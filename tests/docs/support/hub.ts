/** Stands in for the hub that the default model comes from: the same bytes, from this machine. */
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Route } from '@playwright/test';
import { REAL_MODEL } from '../../browser/servers/models.ts';

const folder = join(process.env.FRONTDESK_CACHE ?? join(homedir(), '.cache', 'frontdesk'), 'models');

export async function standInForHub(context: BrowserContext): Promise<void> {
  await context.route(/^https:\/\/huggingface\.co\/.*SmolLM2-135M-Instruct\.Q4_1\.gguf$/, serve);
  await context.route('**/favicon.ico', (route) => route.fulfill({ status: 204 }));
}

async function serve(route: Route): Promise<void> {
  const file = await open(join(folder, REAL_MODEL));
  try {
    const { size } = await file.stat();
    const [, first = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(route.request().headers().range ?? '') ?? [];
    const start = Number(first);
    const end = Math.min(last === '' ? size - 1 : Number(last), size - 1);
    const body = Buffer.alloc(end - start + 1);
    await file.read(body, 0, body.length, start);
    const headers = { 'content-range': `bytes ${start}-${end}/${size}`, 'access-control-allow-origin': '*', 'access-control-expose-headers': 'Content-Range, ETag' };
    // A page that is closed meanwhile wants no answer.
    await route.fulfill({ status: 206, headers, body }).catch(() => undefined);
  } finally {
    await file.close();
  }
}
