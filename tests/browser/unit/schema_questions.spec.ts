/** Schemas as questions: which can be decided, what is asked, what comes back, and that all others are refused. */
import { expect, test } from '@playwright/test';
import { planOf } from '../../../www/sdk/src/adapters/schema_questions.ts';

const TICKET = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  type: 'object',
  properties: {
    kind: { const: 'ticket' },
    team: { type: 'string', enum: ['billing', 'shipping'], description: 'Which team answers?' },
    isUrgent: { type: 'boolean' },
    version: { type: 'integer', const: 2 },
  },
  required: ['kind', 'team', 'isUrgent'],
  additionalProperties: false,
};

test('an object asks for its enumerations and booleans, and knows its constants', () => {
  const { questions, valueOf } = planOf(TICKET);
  expect(questions).toEqual({
    team: { type: 'choice', instructions: 'Which team answers?', criteria: { billing: null, shipping: null } },
    isUrgent: { type: 'noul', instructions: 'Is this so: is urgent?' },
  });
  const answers = {
    team: { type: 'choice', choice: 'shipping', probabilities: { billing: 0.4, shipping: 0.6 }, confidence: 0.2 },
    isUrgent: { type: 'noul', noul: 0.5 },
  } as const;
  expect(JSON.stringify(valueOf(answers))).toBe('{"kind":"ticket","team":"shipping","isUrgent":true,"version":2}');
  expect(valueOf({ ...answers, isUrgent: { type: 'noul', noul: 0.499 } })).toMatchObject({ isUrgent: false });
});

test('a schema that is no object is one question', () => {
  const boolean = planOf({ type: 'boolean', description: 'Is money wanted back?' });
  expect(boolean.questions).toEqual({ answer: { type: 'noul', instructions: 'Is money wanted back?' } });
  expect(boolean.valueOf({ answer: { type: 'noul', noul: 0.9 } })).toBe(true);
  const choice = planOf({ enum: ['yes', 'no'] });
  expect(choice.valueOf({ answer: { type: 'choice', choice: 'no', probabilities: {}, confidence: 1 } })).toBe('no');
});

test('a preface goes before each question', () => {
  const { questions } = planOf(TICKET, { preface: 'Be strict.' });
  expect(questions.team?.instructions).toBe('Be strict.\nWhich team answers?');
  expect(questions.isUrgent?.instructions).toBe('Be strict.\nIs this so: is urgent?');
});

test('names that objects have of their own are names like any other', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', ''];
  const schema = JSON.parse(`{"type":"object","properties":{${names.map((name) => `"${name}":{"enum":["__proto__","constructor"]}`).join(',')}}}`) as unknown;
  const { questions, valueOf } = planOf(schema);
  expect(Object.keys(questions)).toEqual(names);
  expect(Object.getPrototypeOf(questions)).toBe(Object.prototype);
  const answer = { type: 'choice', choice: '__proto__', probabilities: {}, confidence: 1 } as const;
  const value = valueOf(Object.fromEntries(names.map((name) => [name, answer])));
  expect(Object.entries(value as object)).toEqual(names.map((name) => [name, '__proto__']));
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

const properties = (property: unknown) => ({ type: 'object', properties: { field: property } });

test('the limits of decide are the limits', () => {
  const options = Array.from({ length: 255 }, (_, index) => `option ${index}`);
  expect(planOf(properties({ enum: options })).questions.field).toMatchObject({ type: 'choice' });
  const many = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`p${index}`, { type: 'boolean' }]));
  expect(Object.keys(planOf({ type: 'object', properties: many }).questions)).toHaveLength(64);
});

const REFUSED: Readonly<Record<string, unknown>> = {
  'no schema': undefined,
  null: null,
  true: true,
  'a list': [],
  'an empty schema': {},
  'an empty object': { type: 'object', properties: {} },
  'no properties': { type: 'object' },
  'nothing to decide': properties({ const: 1 }),
  'a free text': properties({ type: 'string' }),
  'a number': properties({ type: 'number' }),
  'a list of texts': properties({ type: 'array', items: { type: 'string' } }),
  'an object in an object': properties(properties({ type: 'boolean' })),
  'several types': properties({ type: ['boolean', 'null'] }),
  'an enumeration of numbers': properties({ enum: [1, 2] }),
  'an enumeration with null': properties({ enum: ['yes', null] }),
  'an enumeration of another type': properties({ type: 'integer', enum: ['1', '2'] }),
  'an empty enumeration': properties({ enum: [] }),
  'an enumeration of blanks': properties({ enum: ['yes', ' '] }),
  'values that are alike': properties({ enum: ['yes', 'yes'] }),
  'an enumeration that is no list': properties({ enum: 'yes' }),
  'thousands of values': properties({ enum: Array.from({ length: 10_000 }, (_, index) => `option ${index}`) }),
  'a long value': properties({ enum: ['yes', 'n'.repeat(201)] }),
  'a pattern beside an enumeration': properties({ enum: ['yes', 'no'], pattern: '^y' }),
  'a constant that is an object': properties({ const: {} }),
  'a constant that is no number of JSON': properties({ const: Number.NaN }),
  'a constant of another type': properties({ type: 'string', const: 5 }),
  'boolean with a condition': properties({ type: 'boolean', not: { const: true } }),
  'a choice of schemas': { anyOf: [{ type: 'boolean' }] },
  'conditions on the object': { ...properties({ type: 'boolean' }), minProperties: 2 },
  'names by pattern': { ...properties({ type: 'boolean' }), patternProperties: {} },
  'a required property that is not there': { ...properties({ type: 'boolean' }), required: ['toString'] },
  'required that is no list': { ...properties({ type: 'boolean' }), required: 'field' },
  'a reference to itself': { $ref: '#' },
  'a property that refers to the whole': properties({ $ref: '#' }),
  'definitions that refer to each other': { $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' },
  'thousands of properties': { type: 'object', properties: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`p${index}`, { type: 'boolean' }])) },
  'a long name': { type: 'object', properties: { ['x'.repeat(2 ** 20)]: { type: 'boolean' } } },
  'a deep schema': deep(),
  'a schema that contains itself': cyclic(),
};

for (const [what, schema] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => {
    let error: unknown;
    try {
      planOf(schema);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ name: 'InvalidInputError', code: 'invalid_input' });
    expect((error as Error).message.length).toBeLessThan(250);
  });
}

function deep(): unknown {
  let schema: unknown = { type: 'boolean' };
  for (let depth = 0; depth < 100_000; depth += 1) schema = properties(schema);
  return schema;
}

function cyclic(): unknown {
  const schema = { type: 'object', properties: {} as Record<string, unknown> };
  schema.properties.self = schema;
  return schema;
}
