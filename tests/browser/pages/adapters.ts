// Gives the tests the real clients beside the adapters that answer them; bundled when a test starts.
import * as ai from 'ai';
import * as aiSdk from 'frontdesk/ai-sdk';
import * as openaiAdapter from 'frontdesk/openai';
import * as promptApi from 'frontdesk/prompt-api';
import OpenAI, { type ClientOptions } from 'openai';
import { z } from 'zod';

/** OpenAI's client on the page's desk, at an address that nobody has. */
function openai(options: openaiAdapter.OpenaiFetchOptions, more: ClientOptions = {}): OpenAI {
  const fetch = openaiAdapter.openaiFetch(window.desk, options);
  return new OpenAI({ baseURL: 'https://frontdesk.invalid/v1', apiKey: 'unused', dangerouslyAllowBrowser: true, fetch, ...more });
}

/** What a call rejects with, as plain data. */
async function thrown(work: () => Promise<unknown>): Promise<Thrown> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error)) return { name: 'none', message: String(error) };
    const { status, code, headers, error: body, cause } = error as Error & { status?: number; code?: string; headers?: Headers; error?: unknown };
    const causeCode = (cause as { code?: string } | undefined)?.code;
    return {
      name: error.constructor === Error ? error.name : error.constructor.name,
      message: error.message,
      isDomException: error instanceof DOMException,
      domName: error.name,
      isFrontdeskError: window.frontdesk.FrontdeskError.isInstance(error),
      isUnsupported: ai.UnsupportedFunctionalityError.isInstance(error),
      ...(status !== undefined && { status }),
      ...(code !== undefined && { code }),
      ...(causeCode !== undefined && { causeCode }),
      ...(headers instanceof Headers && { headers: Object.fromEntries(headers.entries()) }),
      ...(body !== undefined && { body }),
    };
  }
  return { name: 'nothing', message: '' };
}

/** Reads a stream, to its end or until there is enough of it; gives the number of its pieces. */
async function count(pieces: AsyncIterable<unknown>, isEnough: (pieces: number) => boolean = () => false): Promise<number> {
  let found = 0;
  for await (const piece of pieces) {
    if (piece !== undefined) found += 1;
    if (isEnough(found)) break;
  }
  return found;
}

export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly isDomException?: boolean;
  readonly domName?: string;
  readonly isFrontdeskError?: boolean;
  readonly isUnsupported?: boolean;
  readonly status?: number;
  readonly code?: string | number;
  readonly causeCode?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export const adapters = { OpenAI, ai, z, openai, thrown, count, ...openaiAdapter, ...aiSdk, ...promptApi };

window.adapters = adapters;
