// What every engine is asked: prompts that differ from round to round, and tickets to classify.

// Each is one token, with the space before it, in the vocabularies of all models here.
const WORDS = ['the', 'ticket', 'system', 'failed', 'again', 'on', 'Friday', 'and'];
const OPENINGS = [
  'Alpha',
  'Because',
  'Every',
  'Some',
  'Before',
  'After',
  'Still',
  'Then',
  'Late',
  'Open',
  'Wrong',
  'Morning',
];

/** How many rounds have a prompt of their own, so that no engine can reuse a prefix. */
export const MOST_ROUNDS = OPENINGS.length;

/** A prompt of about `tokens` tokens, the model's own chat template aside. */
export function longPrompt({ round, tokens }) {
  const words = Array.from({ length: tokens - 6 }, (_, index) => WORDS[index % WORDS.length]);
  // The number keeps prompts of different lengths apart.
  return `${OPENINGS[round % MOST_ROUNDS]} ${tokens} ${words.join(' ')}`;
}

/** A prompt of some 20 tokens that is answered at length. */
export function storyPrompt({ round }) {
  return `${OPENINGS[round % MOST_ROUNDS]} all: tell a long story about a ticket that was lost and found.`;
}

/** Ids of tokens for engines without a tokenizer; what they say makes no difference to the time. */
export function tokenIds({ round, tokens }) {
  return Array.from({ length: tokens }, (_, index) => 100 + ((index * 7919 + round * 131) % 40000));
}

export const LABELS = [
  'billing',
  'delivery',
  'return',
  'technical problem',
  'account access',
  'product question',
  'cancellation',
  'complaint',
];

const SUBJECTS = [
  'My last invoice shows the same amount twice, although I bought only one lamp and paid for it by card.',
  'The parcel with the two chairs was to come on Tuesday, but nobody rang and there is no note at the door.',
  'The jacket is a size too small for me and I would like to send it back and have a larger one instead.',
  'Since the update this morning your app closes by itself as soon as I open the list of my past orders.',
  'I cannot sign in any more: the page says that my password is wrong, and the mail to reset it never comes.',
  'Before I buy the coffee machine I would like to know whether it also takes the small cups of other makers.',
  'Please end my subscription at the end of this month and confirm to me in writing that no more is owed.',
  'Your colleague on the phone was rude to me yesterday and hung up before I could say what had happened.',
];
const DETAILS = [
  'I have written to you three times since last week and have had no answer, only the automatic one, and the matter is getting urgent for me by now, so please look into it today.',
  'You find my order under the number 48213, it was placed on the second of March from the account of my wife, who is away until next Monday and cannot be reached by phone.',
  'A neighbour of mine had the very same trouble in spring and told me that it was solved within a day, so I hope very much that you can do that again and tell me how long it takes.',
];

/** 24 different tickets of about 64 tokens. */
export const TICKETS = DETAILS.flatMap((detail) => SUBJECTS.map((subject) => `${subject} ${detail}`));
