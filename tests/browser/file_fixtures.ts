/** What the tests of downloads share: a server of its own for each, which gets files wrong on demand. */
import { test as base } from './fixtures.ts';
import { type FileServer, startFileServer } from './servers/hostile_files.ts';

export const test = base.extend<{ files: FileServer }>({
  files: async ({}, use) => {
    const server = await startFileServer();
    await use(server);
    await server.close();
  },
});
