/** How the tests run: pure functions without a browser, everything else in a real Chromium with a real model. */
import { defineConfig } from '@playwright/test';

const chromium = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const executablePath = process.env.FRONTDESK_CHROMIUM ?? '/usr/bin/chromium';

export default defineConfig({
  testDir: '../tests/browser',
  // These files lie outside this workspace; the run finds the packages through this file's paths.
  tsconfig: '../tests/browser/tsconfig.run.json',
  outputDir: '../target/browser-test-results',
  // One model at a time: two would fight for the cores and make each other slow.
  workers: 1,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  timeout: 60_000,
  reporter: [['list']],
  projects: [
    {
      // What `npm pack` made, as its users build it; ./build.sh test packaging installs it first.
      name: 'packaging',
      testDir: '../tests/packaging',
      timeout: 180_000,
      use: { browserName: 'chromium', headless: true, launchOptions: { executablePath, args: chromium } },
    },
    {
      // Every example of the documentation; ./build.sh test docs installs what reads them.
      name: 'docs',
      testDir: '../tests/docs',
      use: { browserName: 'chromium', headless: true, launchOptions: { executablePath, args: chromium } },
    },
    { name: 'unit', testMatch: '**/unit/*.spec.ts' },
    {
      name: 'chromium',
      testMatch: '**/*.spec.ts',
      testIgnore: ['**/unit/**', '**/*webgpu.spec.ts'],
      use: {
        browserName: 'chromium',
        headless: true,
        launchOptions: {
          executablePath,
          args: chromium,
        },
      },
    },
    {
      // The GPU is Chromium's software adapter: right, and slow.
      name: 'webgpu',
      testMatch: '**/*webgpu.spec.ts',
      timeout: 300_000,
      use: {
        browserName: 'chromium',
        headless: true,
        launchOptions: { executablePath, args: [...chromium, '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] },
      },
    },
  ],
});
