// Hook around the connection: redraw when something changes.
import { useEffect, useReducer } from 'preact/hooks';
import type { EngineConnection, EngineView } from './engine_connection.js';

export function useEngine(connection: EngineConnection): EngineView {
  const [, redraw] = useReducer((turn: number) => turn + 1, 0);
  useEffect(() => connection.subscribe(() => redraw(undefined)), [connection]);
  return connection.view;
}
