// Lint rules of the workspace and of the tests in TypeScript, the import rules of ARCHITECTURE.md among them; paths are from the repository's root.
import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const workerSide = ['engine_module', 'glue', 'model_place', 'reflex_place', 'reading', 'speed', 'threads', 'job_queue', 'task_folder', 'task_shelf', 'joint', 'memory_check'];

/** Of files/, what the page may look into too. */
const readableFiles = ['files/model_folder', 'files/kept_models'];

const variants = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'];

/** Who may import what of the SDK; whoever is not listed is one of the public files at the end. */
const layers = {
  protocol: [],
  errors: [],
  abort: [],
  results: ['protocol', 'errors'],
  wire_errors: ['protocol', 'errors'],
  stream: ['abort'],
  adapter: ['protocol'],
  verdicts: ['protocol', 'files/model_folder'],
  persistence: [],
  missing: ['errors'],
  retry_after: [],
  model_store: ['checks', 'client', 'errors', 'missing', 'models', 'persistence', 'protocol', ...readableFiles],
  variant: ['protocol', 'wasm-feature-detect'],
  turns: ['abort'],
  checks: ['protocol', 'errors'],
  decide_shapes: ['results'],
  decide_checks: ['protocol', 'errors', 'checks', 'decide_shapes'],
  models: ['checks', 'protocol', 'errors', 'frontdesk:models'],
  client: ['protocol', 'errors', 'missing', 'wire_errors', 'abort'],
  run: ['errors', 'results', 'abort'],
  task: ['checks', 'client', 'protocol', 'errors', 'results'],
  ledger: ['cascade', 'checks', 'errors', 'protocol', 'providers/provider', 'run'],
  idle_improver: ['client', 'protocol'],
  classifying: ['abort', 'answers', 'cascade', 'checks', 'client', 'errors', 'ledger', 'missing', 'protocol', 'providers/provider', 'results', 'run', 'task', 'turns'],
  cascade: ['protocol', 'errors', 'results', 'client', 'run', 'stream', 'providers/provider'],
  'providers/provider': ['protocol', 'errors'],
};
for (const name of workerSide) {
  layers[name] = [...workerSide, 'protocol', 'errors', 'wire_errors', 'abort', 'files/\\w+', 'adapter', 'verdicts', 'variant', ...variants.map((variant) => `wasm/${variant}/frontdesk`)];
}
layers.host = [...layers.model_place, 'missing'];
layers.sharing = ['files/model_folder', 'host', 'protocol'];
layers.worker = ['host', 'sharing', 'protocol', 'subgroups', 'wire_errors'];
layers.joint = ['abort'];
layers.memory_check = ['errors', 'protocol'];
layers.thread_worker = ['glue', 'threads'];

function mayImportOnly(names, message) {
  const files = names.map((name) => (name.includes(':') || name.includes('wasm-') ? name : `\\.{1,2}/(?:\\.\\./)?${name}\\.js`));
  const regex = names.length === 0 ? '.' : `^(?!(?:${files.join('|')})$)`;
  return refuse(regex, message);
}

function readonly(names) {
  return Object.fromEntries(names.map((name) => [name, 'readonly']));
}

function refuse(regex, message) {
  return { 'no-restricted-imports': ['error', { patterns: [{ regex, message }] }] };
}

const layerRules = Object.entries(layers).map(([name, allowed]) => ({
  files: [`www/sdk/src/${name}.ts`],
  rules: mayImportOnly(allowed, `${name}.ts may import only: ${allowed.join(', ') || 'nothing'}.`),
}));

export default defineConfig(
  globalIgnores(['**/dist/', '**/node_modules/', 'www/sdk/wasm/', 'target/']),
  eslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommendedTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // `throw signal.reason` is how aborts are passed on; its type is unknown.
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true, allowRethrowing: true }],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: { globals: readonly(['process', 'console', 'URL', 'Buffer', 'fetch', 'AbortController', 'AbortSignal', 'Response', 'setTimeout', 'clearTimeout']) },
  },
  {
    files: ['tests/browser/pages/*.js'],
    languageOptions: { globals: readonly(['window', 'document', 'navigator', 'performance', 'self', 'DOMException', 'StorageManager', 'WebAssembly']) },
  },
  {
    files: ['tests/packaging/consumers/**/*.{js,cjs}'],
    languageOptions: { globals: readonly(['console', 'document']), parserOptions: { ecmaFeatures: { jsx: true } } },
  },
  // Playwright's fixtures without dependencies begin with an empty pattern.
  { files: ['tests/browser/*fixtures.ts'], rules: { 'no-empty-pattern': 'off' } },
  {
    files: ['www/sdk/src/**/*.ts'],
    rules: refuse('(?:^|/)(?:worker|host|sharing|subgroups|joint|job_queue|task_folder|task_shelf|engine_module|frontdesk_bg)\\.|/wasm/|/files/(?!model_folder|kept_models)', 'Only the worker imports what runs in it.'),
  },
  {
    files: ['www/sdk/src/providers/*.ts'],
    rules: refuse(
      '^(?!(?:\\./\\w+|\\.\\./(?:checks|protocol|errors|abort|retry_after))\\.js$|eventsource-parser$)',
      'Providers may import their own folder, checks, protocol, errors, abort and retry_after only.',
    ),
  },
  {
    files: ['www/sdk/src/files/*.ts'],
    rules: refuse(
      '^(?!(?:\\./\\w+|\\.\\./(?:protocol|errors|abort|retry_after|engine_module))\\.js$)',
      'What handles files may import its own folder, protocol, errors, abort, retry_after and engine_module only.',
    ),
  },
  {
    files: ['www/sdk/src/adapters/*.ts'],
    rules: refuse(
      '^(?!(?:\\./\\w+|\\.\\./(?:index|errors|abort))\\.js$|@ai-sdk/provider$)',
      'Adapters may import their own folder, what the package exports, errors and abort only, and types of the AI SDK.',
    ),
  },
  ...layerRules,
  // Declarations run nowhere.
  { files: ['www/sdk/src/*.d.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['www/ui/**/*.{ts,tsx}', 'www/demo/**/*.{ts,tsx}', 'www/extension/**/*.{ts,tsx}'],
    rules: refuse('^frontdesk/|/sdk/', 'Only the package name, no paths into it.'),
  },
);
