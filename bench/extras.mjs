// What is measured of Frontdesk besides tokens per second: decisions, first answers, sizes, memory.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { launchKeeping, openPage } from './hosts/browser.mjs';

const CALL_LIMIT_MS = 300_000;
const VISITS = [
  { engine: 'frontdesk', module: 'frontdesk.mjs' },
  { engine: 'wllama', module: 'wllama.mjs' },
];

/** Latencies of one decision each, samples of `{ ms, tokens }`: `classify`, and `embed` with many texts besides. */
export async function timeDecisions(run, { note }) {
  note('classifying tickets');
  const classify = await run.host.call('classify', undefined, { ms: CALL_LIMIT_MS });
  note('embedding texts');
  // The encoder's file may be missing; that is no failure of the run.
  const embed = await run.host
    .call('embed', undefined, { ms: CALL_LIMIT_MS })
    .catch((error) => ({ failed: error.message }));
  return { classify, embed };
}

/**
 * Milliseconds from navigation to the first piece of a chat's answer, in a browser that has the model:
 * a list for each of `engines` that can keep a model. The first visit fetches the model and is not counted.
 */
export async function timeVisits({ url, options, engines, visits, note }) {
  const { context, close } = await launchKeeping();
  const times = {};
  try {
    for (let visit = 0; visit <= visits; visit += 1) {
      for (const { engine, module } of VISITS.filter((visitor) => engines.includes(visitor.engine))) {
        if (times[engine]?.failed) continue;
        try {
          const ms = await oneVisit(context, { url, module, options });
          if (visit > 0) (times[engine] ??= []).push(ms);
          note(`visit ${visit} of ${visits}, ${engine}: first token after ${Math.round(ms)} ms`);
        } catch (error) {
          times[engine] = { failed: error.message.split('\n')[0] };
          note(`visit ${visit}, ${engine} FAILED: ${error.message}`);
        }
      }
    }
  } finally {
    await close();
  }
  return times;
}

async function oneVisit(context, { url, module, options }) {
  const page = await openPage(context, { url, module });
  try {
    await page.call('load', { ...options, keepModel: true }, { ms: CALL_LIMIT_MS });
    const { ms } = await page.call('firstToken', undefined, { ms: CALL_LIMIT_MS });
    return ms;
  } finally {
    await page.close();
  }
}

/** Bytes of files as they are and as a server would send them. */
export function sizeOf(files) {
  const contents = files.map((file) => readFileSync(file));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return {
    files: files.map((file) => path.basename(file)),
    bytes: sum(contents.map((content) => content.length)),
    gzip_bytes: sum(contents.map((content) => gzipSync(content, { level: 9 }).length)),
  };
}

/** What a page loads for each built variant: the scripts that all have, and the variant's own files. */
export function variantSizes(sdk) {
  const isCode = (name) => /\.(?:js|wasm)$/.test(name);
  const filesOf = (folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && isCode(entry.name))
      .map(({ name }) => path.join(folder, name));
  const common = filesOf(sdk);
  const folder = path.join(sdk, 'wasm');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((variant) => ({
    variant,
    ...sizeOf([...common, ...filesOf(path.join(folder, variant))]),
  }));
}
