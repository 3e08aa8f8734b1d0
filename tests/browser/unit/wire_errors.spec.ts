/** Errors of the engine arrive as the class of their code. */
import { expect, test } from '@playwright/test';
import { InternalError, OutOfMemoryError } from '../../../www/sdk/src/errors.ts';
import { fromWireError, toWireError } from '../../../www/sdk/src/wire_errors.ts';

test('the engine’s out_of_memory becomes its class, an unknown code an internal error', () => {
  const thrown = Object.assign(new Error('no room for the weights'), { name: 'EngineError', code: 'out_of_memory' });
  const error = fromWireError(toWireError(thrown));
  expect(error).toBeInstanceOf(OutOfMemoryError);
  expect([OutOfMemoryError.isInstance(error), error.message]).toEqual([true, 'no room for the weights']);
  expect(fromWireError({ code: 'never_heard_of', message: 'x' })).toBeInstanceOf(InternalError);
});
