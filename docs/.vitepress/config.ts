/** The documentation site: its pages, their order, and how it is built into target/docs. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { defineConfig } from 'vitepress';

export default defineConfig({
  title: 'Frontdesk',
  description: 'A small language model in the browser that answers what it can and asks your backend only when unsure.',
  lang: 'en',
  // Pages find each other below any path.
  base: process.env.FRONTDESK_DOCS_BASE ?? '/',
  outDir: '../target/docs',
  cacheDir: '../target/docs-cache',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  // Pages link to the measured figures as files.
  buildEnd: ({ srcDir, outDir }) => cp(join(srcDir, 'results'), join(outDir, 'results'), { recursive: true }),
  themeConfig: {
    search: { provider: 'local' },
    outline: { level: [2, 3] },
    nav: [
      { text: 'Quick start', link: '/quick-start' },
      { text: 'API', link: '/api/index.html', target: '_self' },
      { text: 'Rust', link: '/rust/frontdesk_engine/index.html', target: '_self' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'What it is', link: '/' },
          { text: 'Quick start', link: '/quick-start' },
          { text: 'What it does not do', link: '/limits' },
          { text: 'Browsers', link: '/browsers' },
        ],
      },
      {
        text: 'Use',
        items: [
          { text: 'Classify', link: '/classify' },
          { text: 'Chat', link: '/chat' },
          { text: 'Decide', link: '/decide' },
          { text: 'Tasks that learn', link: '/tasks' },
          { text: 'Embed', link: '/embed' },
          { text: 'Modes and receipts', link: '/modes' },
          { text: 'Errors', link: '/errors' },
          { text: 'OpenAI, AI SDK, Prompt API', link: '/clients' },
          { text: 'Cookbook', link: '/cookbook' },
        ],
      },
      {
        text: 'Run',
        items: [
          { text: 'Models and storage', link: '/models' },
          { text: 'CPU and GPU', link: '/backends' },
          { text: 'Deployment', link: '/deployment' },
          { text: 'The reference backend', link: '/relay' },
          { text: 'Privacy and threats', link: '/privacy' },
          { text: 'What cannot happen here', link: '/what-cannot-happen' },
        ],
      },
      {
        text: 'Inside',
        collapsed: true,
        items: [
          { text: 'Speed', link: '/performance' },
          { text: 'The GPU backend', link: '/gpu' },
          { text: 'Decisions and guarantees', link: '/decisions' },
          { text: 'Adapters', link: '/adapters' },
          { text: 'Add an architecture', link: '/add-an-architecture' },
          { text: 'Add a quantisation', link: '/add-a-quantisation' },
          { text: 'Add a kernel', link: '/add-a-kernel' },
          { text: 'Add a provider', link: '/add-a-provider' },
          { text: 'Add a task', link: '/add-a-task' },
        ],
      },
    ],
  },
});
