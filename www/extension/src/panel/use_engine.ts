// Hook around the connection: redraw when something changes.
import { useLayoutEffect, useReducer } from 'preact/hooks';
import type { EngineConnection, EngineView } from './engine_connection.js';

export function useEngine(connection: EngineConnection): EngineView {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  // Before anything else can happen: an effect that runs later would miss an engine that is ready at once.
  useLayoutEffect(() => connection.subscribe(() => redraw(undefined)), [connection]);
  return connection.view;
}
