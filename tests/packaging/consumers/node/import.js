// Outside of browsers the package loads, and says why no model can.
import { Frontdesk } from 'frontdesk';

try {
  await Frontdesk.create();
} catch (error) {
  console.log(error.code);
}
