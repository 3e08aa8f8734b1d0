// Starts the options page.
import { render } from 'preact';
import { readSettings } from '../shared/stored_settings.js';
import { App } from './app.js';

const root = document.getElementById('app');
if (root !== null) render(<App settings={await readSettings()} />, root);
