/** The examples' runner itself: it lets right examples pass, and none that is wrong. */
import { type BrowserContext, expect, test } from '@playwright/test';
import { type Site, startSite } from '../browser/servers/site.ts';
import { anchorsIn, examplesOf, linksIn, pathsIn } from './support/blocks.ts';
import { standInForHub } from './support/hub.ts';
import { complaintsOf, prepareSite } from './support/running.ts';
import { typeComplaints } from './support/types.ts';

let site: Site;
let context: BrowserContext;
test.beforeAll(async ({ browser }) => {
  site = await startSite({ isolated: false });
  prepareSite(site);
  context = await browser.newContext();
  await standInForHub(context);
});
test.afterAll(async () => {
  await context.close();
  await site.close();
});

function read(words: string, code: string) {
  return examplesOf('page.md', `# Title\n\n\`\`\`${words}\n${code}\n\`\`\`\n`);
}

async function complaints(words: string, code: string): Promise<string[]> {
  const [example] = read(words, code).examples;
  if (!example) throw new Error('no example was found');
  return complaintsOf(context, site, example);
}

const RIGHT = "const { Frontdesk } = await import('frontdesk');\nconsole.log(typeof Frontdesk.create); // => function";

test.describe('right examples pass', () => {
  for (const [what, words, code] of [
    ['a program', 'js', RIGHT],
    ['types, and a comment below the call', 'ts', 'const sum: number = 1 + 1;\nconsole.log(sum);\n// => 2'],
    ['a call of several lines', 'js', "console.log(\n  'a',\n  { b: 1 },\n); // => a {\"b\":1}"],
    ['a page', 'html', '<!doctype html><output></output><script type="module">console.log(document.querySelectorAll("output").length); // => 1\n</script>'],
    ['a page with a button', 'html press: Go', '<!doctype html><button>Go</button><output></output><script type="module">document.querySelector("button").onclick = () => { document.querySelector("output").textContent = "gone"; };</script>'],
  ] as const) {
    test(what, async () => {
      expect(await complaints(words, code)).toEqual([]);
    });
  }
});

test.describe('wrong examples fail', () => {
  for (const [what, words, code, complaint] of [
    ['throws', 'js', "throw new TypeError('broken');", /TypeError: broken/],
    ['rejects and does not wait', 'js', "void Promise.reject(new Error('later'));\nawait new Promise((done) => setTimeout(done, 200));", /later/],
    ['logs an error', 'js', "console.error('something is off');", /something is off/],
    ['logs something else', 'js', 'console.log(1 + 1); // => 3', /line 4: "3" was expected, and "2" was logged/],
    ['logs nothing', 'js', 'if (Date.now() < 0) console.log(1); // => 1', /nothing was logged/],
    ['uses what the package has not', 'js', "import { summarize } from 'frontdesk';\nsummarize();", /summarize/],
    ['is refused by the desk', 'js', "import { Frontdesk } from 'frontdesk';\nawait Frontdesk.create({ mode: 'sometimes' });", /mode must be one of/],
    ['a page that throws', 'html', "<!doctype html><script type=\"module\">throw new Error('page')</script>", /Error: page/],
    ['a page without what it imports', 'html', '<!doctype html><script type="module">import "./nowhere.js";</script>', /404/],
  ] as const) {
    test(what, async () => {
      expect((await complaints(words, code)).join('\n')).toMatch(complaint);
    });
  }

  test('a wrong type', async () => {
    const { examples } = read('ts', "import { Frontdesk } from 'frontdesk';\nawait Frontdesk.create({ mode: 'sometimes' });");
    expect((await typeComplaints(examples, 'docs-wrong-types')).join('\n')).toMatch(/page\.md-4\.ts\(5,\d+\): error TS2322/);
  });
});

test.describe('blocks', () => {
  test('that continue are one program, each on its own lines', () => {
    const { examples } = examplesOf('page.md', '```js\nlet a = 1;\n```\n\ntext\n\n```js continues\na += 1;\n```\n');
    expect(examples).toHaveLength(1);
    expect(examples[0]?.code.split('\n')).toEqual(['', 'let a = 1;', '', '', '', '', '', 'a += 1;', '']);
  });

  test('are fragments only with a reason', () => {
    expect(read('js fragment: half a sentence', 'if (').fragments).toEqual([{ file: 'page.md', line: 4, reason: 'half a sentence' }]);
    for (const words of ['js fragment', 'js fragment:', 'js no-run', 'ts continues: x']) expect(() => read(words, '1')).toThrow('is none of');
    expect(() => read('js continues', '1')).toThrow('no program');
  });

  test('of other languages are no examples, and titles are no words', () => {
    expect(read('sh', 'ls').examples).toEqual([]);
    expect(read('js [main.js]', '1').examples).toHaveLength(1);
  });

  test('links and anchors are found', () => {
    expect(linksIn('[a](b.md#c-d) ![e](f.svg) <https://example.com> [g](https://example.com) [h](#i)')).toEqual(['b.md#c-d', 'f.svg', '#i']);
    expect(anchorsIn("# OpenAI's `client`\n\ntext\n\n## Two words\n")).toEqual(['openai-s-client', 'two-words']);
  });

  test('paths are found where they are written as code', () => {
    expect(pathsIn('See `tests/tidy.rs`, `www/sdk/src/NAME.ts`, `text/plain` and src/engine.')).toEqual(['tests/tidy.rs']);
  });
});
