// Asks the model which label fits, and shows who answered.
import { Frontdesk } from 'frontdesk';

const desk = await Frontdesk.create({ modelBaseUrl: '/models' });
const { value, source } = await desk.classify('I was charged twice for my subscription. Please refund the second payment.', {
  labels: ['billing', 'technical problem', 'shipping', 'account access'],
  threshold: 0,
});
document.querySelector('output').textContent = JSON.stringify({ value, source, ...desk.info });
