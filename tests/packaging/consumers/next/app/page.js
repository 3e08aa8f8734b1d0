// A client component that asks the model which label fits, and shows who answered.
'use client';
import { Frontdesk } from 'frontdesk';
import { useEffect, useState } from 'react';

export default function Page() {
  const [answer, setAnswer] = useState('');
  useEffect(() => {
    const asking = new AbortController();
    classify(asking.signal).then((answer) => setAnswer(JSON.stringify(answer)), console.error);
    return () => asking.abort();
  }, []);
  return <output>{answer}</output>;
}

async function classify(signal) {
  const desk = await Frontdesk.create({ modelBaseUrl: '/models', signal });
  const { value, source } = await desk.classify('I was charged twice for my subscription. Please refund the second payment.', {
    labels: ['billing', 'technical problem', 'shipping', 'account access'],
    threshold: 0,
    signal,
  });
  return { value, source, ...desk.info };
}
