// Made-up tickets, one click away, and the labels the page starts with.

export interface Sample {
  readonly title: string;
  readonly text: string;
}

/** Those of the sample rows. */
export const DEFAULT_LABELS: readonly string[] = ['billing', 'delivery', 'technical problem', 'account access', 'cancellation', 'praise'];

export const SAMPLES: readonly Sample[] = [
  {
    title: 'Charged twice',
    text: 'Hi, my card was charged twice for order 48213 on Monday, 39.90 each time. I only bought one pair of headphones. Please refund the second payment. Thanks, Marta Lindqvist',
  },
  {
    title: 'App crashes',
    text: 'Since the update this morning the app closes by itself every time I open the calendar tab. Pixel 8, version 5.2.1. I restarted the phone and installed it again, same thing.',
  },
  {
    title: 'Parcel missing',
    text: 'Tracking says my parcel was delivered yesterday at 14:10, but nothing is here and none of the neighbours have it. It is a birthday present for Saturday. Where is it?',
  },
  {
    title: 'Locked out',
    text: 'I changed my phone and now the login code goes to my old number. I still know my password but I cannot get in. How do I move the two-step login to the new phone?',
  },
  {
    title: 'Please cancel',
    text: 'Please cancel my subscription at the end of this month. I have moved abroad and cannot use it any more. A short confirmation by email would be nice.',
  },
  {
    title: 'Kind words',
    text: 'Just wanted to say thank you to Jonas on your support team. He stayed on the phone for forty minutes until my mother could print again. You do not see that often.',
  },
  {
    title: 'Invoice wrong',
    text: 'The March invoice shows 14 seats, but we reduced to 9 in February and have that in writing. Could you correct it and send a new one to accounts@hollowaydental.example before Friday?',
  },
  {
    title: 'Box arrived broken',
    text: 'The courier left the box in the rain and two of the six glasses inside are in pieces. I have photos. Do I send everything back or only the broken ones?',
  },
  {
    title: 'Reset link dead',
    text: 'I asked for a password reset five times. Every link says it has expired, even when I click within a minute. I need my documents today, please open the account by hand.',
  },
  {
    title: 'Slow export',
    text: 'Exporting the yearly report used to take seconds. Now the bar stops at 80% and after ten minutes I get error E-5031. It happens in Firefox and Edge, for all three of us.',
  },
  {
    title: 'Angry and leaving',
    text: 'Third time this year that you raised the price without asking. I am done. Close everything, delete my data and do not call me to talk me out of it.',
  },
  {
    title: 'A bit of everything',
    text: 'Love the new design! But the discount code did not work, the order shows up twice, and one of them says it ships to my old flat. Can you sort that out before it goes out?',
  },
];
