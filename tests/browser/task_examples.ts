/** Labelled tickets that tasks learn from in the tests, made of sentences and things. */
import type { Example } from 'frontdesk';

const THINGS = ['the blue lamp', 'my coffee machine', 'a pair of shoes', 'the garden chairs', 'my phone case', 'the winter jacket', 'a set of knives', 'the desk'];
/** Sentences of each label, with a place for a thing; the last two of each label are not learnt from. */
const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  billing_problem: [
    'I was charged twice for {}.',
    'The invoice for {} shows the wrong amount.',
    'Why did you take the money for {} two times from my card?',
    'Please refund the second payment for {}.',
    'The bill for {} is higher than the price on your page.',
    'My bank statement has a double charge for {}.',
  ],
  delivery: [
    'Where is the parcel with {}?',
    'The courier has not brought {} yet.',
    '{} should have arrived on Monday.',
    'When will {} be delivered to my house?',
    'The tracking page for {} has not changed for days.',
    'Has {} been shipped, and when will it get here?',
  ],
  return_item: [
    'I would like to send {} back.',
    '{} does not suit me, how can I return it?',
    'Can I give {} back and get another one?',
    'I want to return {} because I do not like it.',
    'What is the way to send back {}?',
    'How do I return {} that I no longer want?',
  ],
  account_access: [
    'I cannot sign in to see my order of {}.',
    'My password is not accepted when I want to look at {}.',
    'The login page rejects me, and I need to check {}.',
    'I have forgotten my password and cannot order {}.',
    'My account is locked since I bought {}.',
    'I am unable to log in to my account to find {}.',
  ],
};

export function examples(part: (sentence: number) => boolean): Example[] {
  return Object.entries(SENTENCES).flatMap(([label, sentences]) =>
    sentences.filter((_, index) => part(index)).flatMap((sentence) => THINGS.map((thing) => ({ label, text: sentence.replace('{}', thing) }))),
  );
}

export const LEARNT = examples((sentence) => sentence < 4);
export const OTHERS = examples((sentence) => sentence >= 4);

/** The label of the ticket that a request's body holds. */
export function labelIn(body: string): string {
  const found = [...LEARNT, ...OTHERS].find(({ text }) => body.includes(JSON.stringify(text).slice(1, -1)));
  return found?.label ?? 'delivery';
}
