/** A stand-in for the user's backend: an OpenAI-compatible endpoint that can be told how to misbehave. */
import type { IncomingMessage, ServerResponse } from 'node:http';

export type Behaviour =
  | 'answer'
  | 'status_500'
  | 'rate_limited'
  | 'rate_limited_briefly'
  | 'hang'
  | 'malformed'
  | 'missing_fields'
  | 'wrong_type'
  | 'too_long'
  /** The connection breaks, or the stream ends, in the middle of the answer. */
  | 'cut'
  /** A stream ends before its first piece of text; whole answers break off as with `cut`. */
  | 'cut_early'
  | 'redirect';

export const RETRY_AFTER_SECONDS = 30;
const USAGE = { prompt_tokens: 42, completion_tokens: 3, total_tokens: 45 };

export class Upstream {
  static readonly path = '/v1/chat/completions';
  behaviour: Behaviour = 'answer';
  /** What the assistant says: always this, or what it makes of the request's body. */
  text: string | ((body: string) => string) = '';
  /** The bodies received, as they were sent. */
  readonly bodies: string[] = [];
  /** The headers of each request received. */
  readonly headers: IncomingMessage['headers'][] = [];
  /** Requests whose connection the caller closed before they were answered. */
  abandoned = 0;
  readonly #open = new Set<ServerResponse>();

  /** Answers well, `text` from now on, and forgets what was received. */
  reset(text: Upstream['text']): void {
    this.behaviour = 'answer';
    this.text = text;
    this.bodies.length = 0;
    this.headers.length = 0;
    this.abandoned = 0;
    for (const response of this.#open) response.destroy();
    this.#open.clear();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    this.bodies.push(body);
    this.headers.push(request.headers);
    this.#open.add(response);
    response.on('close', () => {
      this.#open.delete(response);
      if (!response.writableEnded) this.abandoned += 1;
    });
    const { stream } = JSON.parse(body) as { stream?: boolean };
    const misbehave = FAULTS[this.behaviour];
    if (misbehave) misbehave(response);
    else if (stream === true) await this.#stream(response, this.#say(body));
    else this.#answer(response, this.#say(body));
  }

  #say(body: string): string {
    return typeof this.text === 'string' ? this.text : this.text(body);
  }

  #answer(response: ServerResponse, text: string): void {
    const choice = { index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' };
    const body = JSON.stringify({ id: 'x', object: 'chat.completion', model: 'big-model', choices: [choice], usage: USAGE });
    response.setHeader('content-type', 'application/json; charset=utf-8');
    if (this.behaviour === 'answer') {
      response.end(body);
    } else {
      response.setHeader('content-length', Buffer.byteLength(body));
      response.write(body.slice(0, 20), () => response.destroy());
    }
  }

  async #stream(response: ServerResponse, text: string): Promise<void> {
    response.setHeader('content-type', 'text/event-stream');
    const send = (choices: unknown[], more: object = {}) =>
      response.write(`data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: 'big-model', choices, ...more })}\n\n`);
    send([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
    const words = text.match(/\S+\s*/g) ?? [];
    const spoken = { answer: words.length, cut: 1, cut_early: 0 }[this.behaviour as string] ?? 0;
    for (const word of words.slice(0, spoken)) {
      send([{ index: 0, delta: { content: word }, finish_reason: null }]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (this.behaviour === 'answer') {
      send([{ index: 0, delta: {}, finish_reason: 'stop' }]);
      send([], { usage: USAGE });
      response.write('data: [DONE]\n\n');
    }
    response.end();
  }
}

const FAULTS: Partial<Record<Behaviour, (response: ServerResponse) => void>> = {
  status_500: (response) => response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"broken"}}'),
  rate_limited_briefly: (response) => response.writeHead(429, { 'retry-after': '1' }).end(),
  rate_limited: (response) => response.writeHead(429, { 'retry-after': String(RETRY_AFTER_SECONDS) }).end(),
  hang: () => undefined,
  malformed: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": [{"message"'),
  missing_fields: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": [{"message": {}}]}'),
  wrong_type: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>Please log in</p>'),
  too_long: (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"padding":"${'x'.repeat(2 ** 20)}"}`),
  redirect: (response) => response.writeHead(307, { location: '/elsewhere' }).end(),
};

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
