// The child process of an engine that runs in Node: child_main.mjs ENGINE, calls and answers as JSON lines.
import { createInterface } from 'node:readline';

const engine = import(`../engines/${process.argv[2]}`);
engine.catch(() => undefined); // Each call tells of it.

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, options } = JSON.parse(line);
  const answer = await engine
    .then(async (functions) => ({ result: await functions[method](options) }))
    .catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`);
}
// Native libraries may keep threads that hold the process.
process.exit(0);
