// Starts the side panel of one window.
import { render } from 'preact';
import { App } from './app.js';
import { EngineConnection } from './engine_connection.js';

const root = document.getElementById('app');
const { id } = await chrome.windows.getCurrent();
if (root !== null && id !== undefined) render(<App connection={new EngineConnection()} windowId={id} />, root);
