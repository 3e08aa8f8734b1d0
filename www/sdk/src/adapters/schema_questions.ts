/** Turns a JSON schema whose every value is one of a few into questions for `decide`, and the answers back into JSON. */
import { InvalidInputError } from '../errors.js';
import type { DecideAnswer, DecideQuestion, DecideQuestions, DecideResponse } from '../index.js';

/** What a schema that can be decided leaves to say. */
export type Scalar = string | number | boolean | null;

/** The questions that a schema asks. */
export interface SchemaPlan {
  readonly questions: DecideQuestions;
  /** The value that the schema describes; its properties are in the schema's order. */
  readonly valueOf: (answers: DecideResponse['answers']) => Scalar | Readonly<Record<string, Scalar>>;
}

type Question = DecideQuestion & { readonly instructions: string };
type Leaf = { readonly value: Scalar } | { readonly question: Question; read(answer: DecideAnswer): Scalar };
type Schema = Readonly<Record<string, unknown>>;

// The limits of `decide`, told here in the schema's words.
const MOST_PROPERTIES = 64;
const MOST_OPTIONS = 255;
const LONGEST_NAME = 200;

/** The question of a schema that is no object. */
const WHOLE = 'answer';
/** Keywords that say nothing about which values are valid. */
const ANNOTATIONS = ['title', 'description', 'default', 'examples', 'deprecated', '$comment', '$schema'];

/**
 * Reads a schema: an enumeration of strings, `boolean`, or an object whose properties are those or `const`. Throws
 * `InvalidInputError` for any other, and for each keyword that is not known: what cannot be promised is refused.
 * `preface` goes before each question, e.g. a system prompt.
 */
export function planOf(schema: unknown, { preface = '' }: { readonly preface?: string } = {}): SchemaPlan {
  const root = schemaOf(schema, 'the schema');
  const isObject = root.type === 'object';
  const leaves = isObject ? leavesOf(root) : new Map([[WHOLE, leafOf(root, { name: WHOLE, what: 'the schema' })]]);
  const asked = [...leaves].flatMap(([id, leaf]) => ('question' in leaf ? [[id, prefaced(leaf.question, preface)] as const] : []));
  if (asked.length === 0) throw new InvalidInputError('the schema leaves nothing to decide');
  return {
    // Built from entries: a property like `__proto__` is a key like any other.
    questions: Object.fromEntries(asked),
    valueOf: (answers) => {
      const found = new Map<string, DecideAnswer>(Object.entries(answers));
      const values = [...leaves].map(([id, leaf]) => [id, valueOf(leaf, found.get(id))] as const);
      return isObject ? Object.fromEntries(values) : (values[0]?.[1] ?? null);
    },
  };
}

function leavesOf(root: Schema): Map<string, Leaf> {
  refuseOthers(root, ['type', 'properties', 'required', 'additionalProperties'], 'the schema');
  const properties = Object.entries(schemaOf(root.properties, 'properties'));
  if (properties.length > MOST_PROPERTIES) throw new InvalidInputError(`the schema has ${properties.length} properties; at most ${MOST_PROPERTIES} are possible`);
  const leaves = new Map(properties.map(([name, property]) => {
    const what = `the property ${quoted(name)}`;
    if (name.length > LONGEST_NAME) throw new InvalidInputError(`the name of ${what} has more than ${LONGEST_NAME} characters`);
    return [name, leafOf(schemaOf(property, what), { name, what })];
  }));
  const { required = [] } = root;
  if (!Array.isArray(required) || !required.every((name) => typeof name === 'string' && leaves.has(name))) {
    throw new InvalidInputError('required must be a list of properties of the schema');
  }
  return leaves;
}

function leafOf(schema: Schema, { name, what }: { readonly name: string; readonly what: string }): Leaf {
  if (Object.hasOwn(schema, 'const')) return constant(schema, what);
  if (Object.hasOwn(schema, 'enum')) return enumeration(schema, { name, what });
  if (schema.type !== 'boolean') throw new InvalidInputError(`${what} is none of these: an enum of strings, a const, a boolean`);
  refuseOthers(schema, ['type'], what);
  const question = { type: 'noul', instructions: wordsOf(schema) ?? `Is this so: ${spaced(name)}?` } as const;
  return { question, read: (answer) => answer.type === 'noul' && answer.noul >= 0.5 };
}

function constant(schema: Schema, what: string): Leaf {
  refuseOthers(schema, ['const', 'type'], what);
  const { const: value, type } = schema;
  const isScalar = value === null || typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
  if (!isScalar) throw new InvalidInputError(`the const of ${what} must be a string, a number, a boolean or null`);
  const types = value === null ? ['null'] : Number.isInteger(value) ? ['number', 'integer'] : [typeof value];
  if (type !== undefined && !types.includes(type as string)) throw new InvalidInputError(`the const of ${what} is not of its type`);
  return { value };
}

function enumeration(schema: Schema, { name, what }: { readonly name: string; readonly what: string }): Leaf {
  refuseOthers(schema, ['enum', 'type'], what);
  const options: unknown = schema.enum;
  if (schema.type !== undefined && schema.type !== 'string') throw new InvalidInputError(`the enum of ${what} must be of the type string`);
  if (!Array.isArray(options) || options.length < 1 || options.length > MOST_OPTIONS) {
    throw new InvalidInputError(`the enum of ${what} must be a list of 1 to ${MOST_OPTIONS}`);
  }
  if (!options.every((option) => typeof option === 'string' && option.trim() !== '' && option.length <= LONGEST_NAME)) {
    throw new InvalidInputError(`the enum of ${what} must have strings of 1 to ${LONGEST_NAME} characters, not only spaces`);
  }
  const names = options as readonly string[];
  if (new Set(names).size !== names.length) throw new InvalidInputError(`the values of ${what} must differ from each other`);
  const instructions = wordsOf(schema) ?? `Which ${spaced(name)} is right?`;
  const question = { type: 'choice', instructions, criteria: Object.fromEntries(names.map((option) => [option, null])) } as const;
  return { question, read: (answer) => (answer.type === 'choice' ? answer.choice : null) };
}

function valueOf(leaf: Leaf, answer: DecideAnswer | undefined): Scalar {
  if ('value' in leaf) return leaf.value;
  return answer ? leaf.read(answer) : null;
}

function prefaced(question: Question, preface: string): Question {
  return preface === '' ? question : { ...question, instructions: `${preface}\n${question.instructions}` };
}

/** What the schema says about itself, to ask with. */
function wordsOf({ description, title }: Schema): string | undefined {
  return [description, title].find((text) => typeof text === 'string' && text.trim() !== '') as string | undefined;
}

/** `isPaid_already` as words. */
function spaced(name: string): string {
  return name.replace(/([a-z\d])([A-Z])/g, '$1 $2').replace(/[_\s-]+/g, ' ').toLowerCase();
}

function quoted(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}

function schemaOf(given: unknown, what: string): Schema {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new InvalidInputError(`${what} must be an object`);
  return given as Schema;
}

function refuseOthers(schema: Schema, known: readonly string[], what: string): void {
  const other = Object.keys(schema).find((keyword) => !known.includes(keyword) && !ANNOTATIONS.includes(keyword));
  if (other !== undefined) throw new InvalidInputError(`${what} has the keyword ${quoted(other)}, which is not supported`);
}
